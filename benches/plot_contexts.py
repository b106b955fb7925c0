"""The cost of one token as the context grows: `vlgate bench ... --contexts ... --json > FILE; python plot_contexts.py FILE > contexts.svg`."""

import json, sys

rows = json.load(open(sys.argv[1]))["contexts"]
W, H, L, B, T = 720, 360, 70, 50, 30
most_x, most_y = max(r["tokens"] for r in rows), max(r["seconds_per_token"] for r in rows) * 1e3 * 1.1
x = lambda tokens: L + (W - L - 20) * tokens / most_x
y = lambda ms: H - B - (H - B - T) * ms / most_y
points = [(x(r["tokens"]), y(r["seconds_per_token"] * 1e3), r) for r in rows]
out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="12">', f'<rect width="{W}" height="{H}" fill="white"/>']
for i in range(6):
    ms, tokens = most_y * i / 5, most_x * i / 5
    out += [f'<path d="M{L} {y(ms):.1f}H{W - 20}" stroke="#ddd"/>', f'<text x="{L - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms:.0f}</text>',
            f'<text x="{x(tokens):.1f}" y="{H - B + 18}" text-anchor="middle">{tokens / 1024:.0f}k</text>']
out += [f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b, _ in points)}" fill="none" stroke="#1769aa" stroke-width="2"/>']
out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="#1769aa"/><text x="{a:.1f}" y="{b - 8:.1f}" text-anchor="middle">{r["seconds_per_token"] * 1e3:.0f}</text>' for a, b, r in points]
out += [f'<text x="{L}" y="18">milliseconds for one more token, by tokens of context before it</text>', "</svg>"]
print("\n".join(out))
