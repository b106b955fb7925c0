"""A 12-megapixel JPEG to the model's size, beside Pillow, Pillow-SIMD and libvips: python benches/pictures.py [TIMES] [--processor].

    pip install pillow pyvips[binary]                   # for this Python; libvips is left out where it is not there
    CC="cc -mavx2" pip install pillow-simd              # into an environment of its own (it takes Pillow's place; needs libjpeg-dev);
                                                        # PILLOW_SIMD_PYTHON=.../bin/python names it, and it is left out otherwise

`vlgate` is the whole way (base64, SHA-256, decoding, orientation, resizing, SHA-256 of the pixels); theirs is decoding and a bicubic
resize with antialiasing. "Shrunk" is their DCT-scaled decoding (Pillow's `draft`, libvips' `thumbnail`), which gives other pixels and is
what vlgate does for `detail: "low"` alone. One thread each, in turn: the median of each, and of the ratios of the rounds. With --processor, the processor's time is counted
in place of the clock's: for a machine that is at work on other things.
"""
import io, json, os, pathlib, random, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROCESSOR = "--processor" in sys.argv
CLOCK = time.process_time if PROCESSOR else time.perf_counter
SIZES = {"low": (576, 416), "auto": (1312, 992), "high": (4000, 3008)}


def pillow(raw, size, shrunk):
    from PIL import Image
    picture = Image.open(io.BytesIO(raw))
    if shrunk:
        picture.draft("RGB", size)
    return picture.convert("RGB").resize(size, Image.BICUBIC).tobytes()


def vips(raw, size, shrunk):
    import pyvips
    if shrunk:
        picture = pyvips.Image.thumbnail_buffer(raw, size[0], height=size[1], size="force")
    else:
        picture = pyvips.Image.new_from_buffer(raw, "", access="sequential")
        picture = picture.resize(size[0] / picture.width, vscale=size[1] / picture.height, kernel="cubic")
    return picture.write_to_memory()


def work(name, file):
    """Answers each line of the input with milliseconds."""
    raw, way = pathlib.Path(file).read_bytes(), {"pillow": pillow, "vips": vips}[name]
    for line in sys.stdin:
        size, shrunk = json.loads(line)
        began = CLOCK()
        assert len(way(raw, size, shrunk)) == size[0] * size[1] * 3
        print((CLOCK() - began) * 1000, flush=True)


class Peer:
    def __init__(self, name, kind, python, file):
        self.name = name
        self.process = subprocess.Popen([python, __file__, "--work", kind, file, *(["--processor"] if PROCESSOR else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "VIPS_CONCURRENCY": "1"})

    def took(self, size, shrunk):
        print(json.dumps([size, shrunk]), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def main():
    from PIL import Image, ImageFilter, __version__
    times = next((int(a) for a in sys.argv[1:] if a.isdigit()), 11)
    r = random.Random(1)
    photo = Image.frombytes("RGB", (500, 375), r.randbytes(500 * 375 * 3)).filter(ImageFilter.GaussianBlur(2)).resize((4000, 3000), Image.BICUBIC)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    subprocess.run(["cargo", "build", "--release", "-p", "vlgate-media", "--example", "picture_bench"], cwd=ROOT, check=True)
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        photo.save(file, "JPEG", quality=88)
        file.flush()
        peers = [Peer(f"Pillow {__version__}", "pillow", sys.executable, file.name)]
        if python := os.environ.get("PILLOW_SIMD_PYTHON"):
            version = subprocess.run([python, "-c", "import PIL; print(PIL.__version__)"], capture_output=True, text=True, check=True).stdout.strip()
            peers.append(Peer(f"Pillow-SIMD {version}", "pillow", python, file.name))
        try:
            import pyvips
            peers.append(Peer(f"libvips {pyvips.version(0)}.{pyvips.version(1)}.{pyvips.version(2)}", "vips", sys.executable, file.name))
        except ImportError:
            pass
        ours = {name: [] for name in SIZES}
        theirs = {(p.name, name, shrunk): [] for p in peers for name in SIZES for shrunk in (False, True)}
        for peer in peers:
            peer.took(SIZES["auto"], False)
        for _ in range(times):
            out = subprocess.run([f"{target}/release/examples/picture_bench", file.name, "3"], check=True, capture_output=True, text=True).stdout
            for line in out.splitlines():
                name, clock, _, processor = line.split()
                ours[name].append(float(processor if PROCESSOR else clock))
            for peer in peers:
                for name, size in SIZES.items():
                    for shrunk in (False, True):
                        theirs[peer.name, name, shrunk].append(peer.took(size, shrunk))
        print(f"4000x3000 JPEG, {os.path.getsize(file.name) / 1e6:.1f} MB; medians of {times} rounds")
    for name, size in SIZES.items():
        print(f"| `{name}`, {size[0]}x{size[1]} | vlgate {statistics.median(ours[name]):.0f} ms |")
        for (peer, at, shrunk), took in theirs.items():
            if at == name:
                ratio = statistics.median(a / b for a, b in zip(ours[name], took))
                print(f"|   {peer}{' shrunk' if shrunk else ''} | {statistics.median(took):.0f} ms | ratio {ratio:.2f} |")


if sys.argv[1:2] == ["--work"]:
    work(*sys.argv[2:4])
else:
    main()
