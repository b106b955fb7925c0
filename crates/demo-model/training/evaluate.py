#!/usr/bin/env python3
"""Accuracy of the exported folder by transformers' own greedy generate, on pictures of seeds that training never draws.

    python evaluate.py --count 1000 [--seed 900001] [--model ../model] [--json result.json] [--show 5]

The questions are draw.py's. `object` must name shape and colour. An answer counts when a wanted word is in it and no forbidden one.
`clip` asks when a thing appears in a clip, sampled twice a second: right within one second of the truth. Beside it stands in
how many answers the stamp is that of the first frame pair that shows the thing.
"""
import argparse, json, os, re, time
import torch
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration
import draw as D
from data import sample
from model import prompt
HERE = os.path.dirname(os.path.abspath(__file__))


def right(answer, expect, forbid, expect2=None, forbid2=None):
    words = re.findall(r"[a-z]+|\d+", answer.lower())
    return any(e in words for e in expect) and not any(f in words for f in forbid) and (
        not expect2 or (any(e in words for e in expect2) and not any(f in words for f in forbid2)))


def clips(P, m, a):
    """Shares of answers within a second, and of exact ones."""
    near = exact = shown = 0
    for i in range(a.count):
        c, q, truth = D.clip_example(D.stream(D.EVAL, a.seed, len(D.KINDS) * 1_000_000 + i))
        inp = prompt(P, c, q)
        with torch.no_grad():
            m.model.rope_deltas = None
            g = m.generate(**inp, max_new_tokens=32)
        answer = P.tokenizer.decode(g[0, inp["input_ids"].shape[1]:], skip_special_tokens=True)
        pairs, stamps = sample(c.total, c.rate, {})
        want = next(s for s, (_, b) in zip(stamps, pairs) if b / c.rate >= truth)
        said = re.search(r"<([\d.]+) seconds>", answer)
        ok = bool(said) and abs(float(said[1]) - truth) <= 1
        near += ok; exact += bool(said) and said[0] == want
        if not ok and shown < a.show:
            shown += 1; print(f"  clip {c.w}x{c.h} {len(pairs)} pairs: {q!r} -> {answer!r}, wanted {truth:.2f}, {want}", flush=True)
    return near, exact


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--count", type=int, default=1000); p.add_argument("--seed", type=int, default=900001)
    p.add_argument("--model", default=os.path.join(HERE, "../model")); p.add_argument("--json"); p.add_argument("--show", type=int, default=0)
    p.add_argument("--kinds", default=",".join(D.KINDS + ["clip"])); p.add_argument("--batch", type=int, default=32); p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    P = AutoProcessor.from_pretrained(a.model); P.tokenizer.padding_side = "left"
    m = Qwen3VLForConditionalGeneration.from_pretrained(a.model, dtype=torch.float32).eval()
    out = {}
    for k in a.kinds.split(","):
        t0, good, shown, more = time.time(), 0, 0, ""
        if k == "clip":
            good, exact = clips(P, m, a); more = f", {100 * exact / a.count:.1f} % with the stamp of the first pair"
        for at in range(0, 0 if k == "clip" else a.count, a.batch):
            ex = [D.example(k, D.stream(D.EVAL, a.seed, D.KINDS.index(k) * 1_000_000 + i)) for i in range(at, min(a.count, at + a.batch))]
            msgs = [[{"role": "user", "content": [{"type": "image", "image": e[0]}, {"type": "text", "text": e[1]}]}] for e in ex]
            text = [P.apply_chat_template(x, tokenize=False, add_generation_prompt=True) for x in msgs]
            inp = P(text=text, images=[[e[0]] for e in ex], return_tensors="pt", padding=True)
            with torch.no_grad():
                m.model.rope_deltas = None
                g = m.generate(**inp, max_new_tokens=24)
            for e, ans in zip(ex, P.batch_decode(g[:, inp["input_ids"].shape[1]:], skip_special_tokens=True)):
                ok = right(ans, *e[2:]); good += ok
                if not ok and shown < a.show:
                    shown += 1; print(f"  {k} {e[0].size}: {e[1]!r} -> {ans!r}, wanted {e[2]} {e[4] or ''}", flush=True)
        out[k] = good / a.count
        print(f"{k:9} {good}/{a.count} = {100 * out[k]:.1f} %{more}   ({time.time() - t0:.0f} s)", flush=True)
    if a.json:
        json.dump(dict(seed=a.seed, count=a.count, accuracy=out), open(a.json, "w"), indent=1)


if __name__ == "__main__":
    main()
