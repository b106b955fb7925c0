"""A 12-megapixel JPEG to the model's size, beside Pillow: python benches/pictures.py [TIMES].

`vlgate` is the whole way (base64, SHA-256, decoding, orientation, resizing, SHA-256 of the pixels); Pillow's is decoding and
`resize(BICUBIC)`, once as transformers does it and once with `draft` (DCT-scaled decoding, which gives other pixels). One thread each.
"""
import io, os, pathlib, random, statistics, subprocess, sys, tempfile, time

from PIL import Image, ImageFilter, __version__

ROOT = pathlib.Path(__file__).resolve().parents[1]
times = int(sys.argv[1]) if len(sys.argv) > 1 else 7
r = random.Random(1)
photo = Image.frombytes("RGB", (500, 375), r.randbytes(500 * 375 * 3)).filter(ImageFilter.GaussianBlur(2)).resize((4000, 3000), Image.BICUBIC)
out = io.BytesIO()
photo.save(out, "JPEG", quality=88)
raw = out.getvalue()
sizes = {"auto": (1312, 992), "high": (4000, 3008)}


def pillow(size, draft):
    took = []
    for _ in range(times):
        began = time.perf_counter()
        picture = Image.open(io.BytesIO(raw))
        if draft:
            picture.draft("RGB", size)
        picture.convert("RGB").resize(size, Image.BICUBIC)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
    file.write(raw)
    file.flush()
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    subprocess.run(["cargo", "build", "--release", "-p", "vlgate-media", "--example", "picture_bench"], cwd=ROOT, check=True)
    ours = subprocess.run([f"{target}/release/examples/picture_bench", file.name, str(times)], check=True, capture_output=True, text=True).stdout
print(f"4000x3000 JPEG, {len(raw) / 1e6:.1f} MB; Pillow {__version__}; median of {times}")
for line in ours.splitlines():
    name, median, _ = line.split()
    whole, draft = pillow(sizes[name], False), pillow(sizes[name], True)
    print(f"{name:5} {sizes[name]}: vlgate {float(median):.0f} ms, Pillow {whole:.0f} ms (ratio {float(median) / whole:.2f}), "
          f"with draft {draft:.0f} ms (ratio {float(median) / draft:.2f})")
