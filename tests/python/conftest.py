"""Starts the real binary once (offline demo model) and a picture server that it is allowed to fetch from."""

import base64, functools, http.server, io, os, pathlib, signal, socket, subprocess, threading, time, urllib.request

import contract
import pytest
from openai import OpenAI
from PIL import Image, ImageDraw

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("VLGATE_BIN", str(ROOT / "target/release/vlgate"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Gateway:
    """A running vlgate; `url` ends in /v1."""

    def __init__(self, log, *flags, env=None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.log = log
        began = time.monotonic()
        self.process = subprocess.Popen([BINARY, "serve", "--port", str(self.port), *flags],
                                        stderr=open(log, "w"), env={**os.environ, "XDG_DATA_HOME": f"{log}.data", **(env or {})})
        while time.monotonic() - began < 60:
            assert self.process.poll() is None, pathlib.Path(log).read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1).read()
                break
            except OSError:
                time.sleep(0.05)
        self.ready_after = time.monotonic() - began

    def peak_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


def red_circle(size=160, background=(235, 235, 235)):
    image = Image.new("RGB", (size, size), background)
    ImageDraw.Draw(image).ellipse([size * .3, size * .3, size * .7, size * .7], fill=(220, 20, 30))
    return image


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def data_url(raw, mime="image/png"):
    return f"data:{mime};base64,{base64.b64encode(raw).decode()}"


def ask(text, *urls, **extra):
    parts = [{"type": "image_url", "image_url": {"url": u, **extra}} for u in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


contract.install()


@pytest.fixture(autouse=True)
def openais_contract():
    """Whatever a test is about: each answer that it got fits OpenAI's own specification."""
    yield
    found, contract.mistakes[:] = contract.mistakes[:], []
    assert not found, "\n".join(found)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder served on loopback."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "red.png").write_bytes(png(red_circle()))
    (folder / "page.html").write_text("<html>not a picture</html>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *a: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory, pictures):
    g = Gateway(tmp_path_factory.mktemp("log") / "vlgate.log", "--allow-host", pictures)
    yield g
    g.stop()


@pytest.fixture(scope="session")
def client(gateway):
    return OpenAI(base_url=gateway.url, api_key="any", max_retries=0, timeout=120)
