"""The guard, the caches and named parts through the real binary: a server that misbehaves, a proxy that must not be asked."""

import base64, http.server, threading, time

import httpx2 as httpx
import pytest
from conftest import ROOT, Gateway, ask, data_url, png, red_circle

RED = png(red_circle())


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    asked = []

    def log_message(self, *_): pass

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("if-none-match")))
        name = self.path.split("?")[0]
        if name == "/keep":
            return self.reply(200, RED, **{"Cache-Control": "max-age=600"})
        if name == "/ask-me":
            fresh = self.headers.get("if-none-match") == '"one"'
            return self.reply(304 if fresh else 200, b"" if fresh else RED, **{"ETag": '"one"', "Cache-Control": "no-cache"})
        if name == "/never":
            return self.reply(200, RED, **{"Cache-Control": "no-store"})
        to = {"/metadata": "http://169.254.169.254/latest/meta-data/iam", "/metadata-name": "http://metadata.google.internal/", "/loop": "/loop",
              "/file": "file:///etc/passwd", "/inside": "http://127.0.0.1:1/", "/decimal": "http://2852039166/", "/mapped": "http://[::ffff:169.254.169.254]/",
              "/user": f"http://a:b@{self.headers['host']}/never"}.get(name)
        if to:
            return self.reply(302, b"", Location=to)
        if name == "/html":
            return self.reply(200, b"<!DOCTYPE html><html>login</html>", **{"Content-Type": "image/png"})
        if name == "/short":
            return self.reply(200, RED, **{"Content-Length": str(len(RED) + 5000)})
        if name == "/boast":
            return self.reply(200, RED, **{"Content-Length": "99999999999"})
        if name == "/drip":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(600):
                    self.wfile.write(b"x")
                    time.sleep(.1)
            except OSError:
                return
        return self.reply(404, b"no")

    def reply(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if status != 304 or name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Proxy(http.server.BaseHTTPRequestHandler):
    asked = []

    def log_message(self, *_): pass

    def do_GET(self):
        self.asked.append(self.path)
        self.send_error(502)

    do_CONNECT = do_GET


def serving(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def site():
    server = serving(Site)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, site):
    folder = tmp_path_factory.mktemp("guard")
    (folder / "open").mkdir()
    (folder / "shut").mkdir()
    for name in ("open/red.png", "shut/red.png"):
        (folder / name).write_bytes(RED)
    (folder / "open/link.png").symlink_to(folder / "shut/red.png")
    (folder / "open/text.png").write_text("secret words")
    config = folder / "vlgate.toml"
    config.write_text(f'api_keys = ["one", "two"]\n[media]\nallow_hosts = ["{site}"]\nallow_domains = ["pictures.example"]\n'
                      f'file_folders = ["{folder}/open"]\nfetch_seconds = 3\n')
    proxy = serving(Proxy)
    traps = {name: f"http://127.0.0.1:{proxy.server_port}" for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")}
    g = Gateway(folder / "log", "--config", str(config), env=traps)
    g.folder = folder
    yield g
    g.stop()
    proxy.shutdown()
    assert Proxy.asked == []


def post(g, parts, key="one"):
    body = {"model": "gpt-4o", "max_tokens": 1, "messages": [{"role": "user", "content": parts}]}
    return httpx.post(g.url + "/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=60)


def see(g, url, **extra):
    return post(g, [{"type": "image_url", "image_url": {"url": url}, **extra}, {"type": "text", "text": "hi"}])


def metrics(g):
    rows = httpx.get(g.url.replace("/v1", "/metrics"), headers={"authorization": "Bearer one"}).text.splitlines()
    return {r.split()[0]: float(r.split()[1]) for r in rows if not r.startswith("#")}


@pytest.mark.parametrize("path", ["metadata", "metadata-name", "loop", "file", "inside", "decimal", "mapped", "user", "html", "short", "boast", "drip", "missing"])
def test_a_server_that_misbehaves_gets_nothing_through(guarded, site, path):
    began = time.monotonic()
    response = see(guarded, f"http://{site}/{path}")
    error = response.json()["error"]
    assert response.status_code == 400 and error["param"] == "messages[0].content[0].image_url.url", response.text
    assert time.monotonic() - began < 30
    for inner in ("169.254", "metadata.google", "127.0.0.1:1/", "2852039166", "passwd", "refused", "os error", "dns"):
        assert inner not in error["message"], error


@pytest.mark.parametrize("url", [
    "http://127.0.0.1/a", "http://0x7f000001/", "http://017700000001/", "http://127.1/", "http://[::1]/", "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/", "http://100.64.0.1/", "http://0.0.0.0/", "http://10.1.2.3/", "http://[fd00::1]/",
    "http://pictures.example:22/", "http://user@pictures.example/", "http://elsewhere.example/", "http://8.8.8.8/", "ftp://pictures.example/", "gopher://x/",
    "http://%31%32%37.0.0.1/", "http://①②⑦.⓪.⓪.①/",
])
def test_refused_before_anything_is_looked_up(guarded, url):
    response = see(guarded, url)
    assert response.status_code == 400 and response.json()["error"]["code"] == "invalid_image_url", response.text


def test_files_only_from_listed_folders(guarded, gateway):
    assert see(guarded, f"file://{guarded.folder}/open/red.png").status_code == 200
    for name in ("shut/red.png", "open/link.png", "open/../shut/red.png", "open/none.png", "open"):
        error = see(guarded, f"file://{guarded.folder}/{name}").json()["error"]
        assert error["message"] == "Invalid image URL: the file may not be read.", error
    assert "secret" not in see(guarded, f"file://{guarded.folder}/open/text.png").text
    # Without folders, as by default, it is no scheme at all.
    assert see(gateway, f"file://{guarded.folder}/open/red.png").json()["error"]["code"] == "invalid_image_url"


def test_what_comes_again_is_neither_fetched_nor_decoded(guarded, site):
    def grown(path, times):
        before, Site.asked[:] = metrics(guarded), []
        for _ in range(times):
            assert see(guarded, f"http://{site}/{path}").status_code == 200
        after = metrics(guarded)
        return {k.removeprefix("vlgate_media_").removesuffix("_total"): after[k] - before[k] for k in after if k.startswith("vlgate_media_")}
    kept = grown("keep", 3)
    assert len(Site.asked) == 1 and kept["fetches"] == 1 and kept["fetch_hits"] == 2 and kept["decodes"] <= 1 and kept["pixel_hits"] >= 2, kept
    asked = grown("ask-me", 3)
    assert [etag for _, etag in Site.asked] == [None, '"one"', '"one"'] and asked["fetch_confirmed"] == 2 and asked["decodes"] == 0, asked
    never = grown("never", 3)
    assert len(Site.asked) == 3 and never["fetch_hits"] == 0 and never["decodes"] == 0 and never["pixel_hits"] == 3, never


def test_a_named_picture_is_sent_once(guarded):
    name = {"type": "image_url", "image_url": None, "uuid": "sku-1"}
    error = post(guarded, [name]).json()["error"]
    assert error["code"] == "unknown_uuid" and error["param"] == "messages[0].content[0].uuid", error
    assert see(guarded, data_url(RED), uuid="sku-1").status_code == 200
    again = post(guarded, [name, {"type": "text", "text": "hi"}])
    assert again.status_code == 200 and again.json()["usage"]["prompt_tokens"] > 50
    assert post(guarded, [{"type": "image_url", "uuid": "sku-1"}]).status_code == 200
    # Another key's names are another's.
    assert post(guarded, [name], key="two").json()["error"]["code"] == "unknown_uuid"
    assert post(guarded, [{"type": "image_url", "uuid": ""}]).json()["error"]["param"] == "messages[0].content[0].uuid"


def test_named_clips_and_files_are_sent_once(guarded):
    clip = data_url((ROOT / "tests/fixtures/clips/short.mp4").read_bytes(), "video/mp4")
    text = base64.b64encode(b"The word is pomegranate.").decode()
    parts = {
        "video_url": {"type": "video_url", "video_url": {"url": clip}, "uuid": "clip-1"},
        "video": {"type": "video", "video": [data_url(RED)] * 4, "times": [0, 1, 2, 3], "uuid": "clip-2"},
        "file": {"type": "file", "file": {"filename": "a.txt", "file_data": text}, "uuid": "clip-1"},
    }
    for kind, whole in parts.items():
        again = {"type": kind, "uuid": whole["uuid"]}
        error = post(guarded, [again]).json()["error"]
        assert (error["code"], error["param"]) == ("unknown_uuid", "messages[0].content[0].uuid"), error
        sent = post(guarded, [whole]).json()["usage"]
        for form in (again, {**again, kind: None}, *([{**again, "file": {"detail": "low"}}] if kind == "file" else [])):
            usage = post(guarded, [form]).json()["usage"]
            assert (usage["prompt_tokens"], usage["prompt_tokens_details"]) == (sent["prompt_tokens"], {**sent["prompt_tokens_details"], "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"]}), kind
        # Another key's names are another's, and each medium has its own.
        assert post(guarded, [again], key="two").json()["error"]["code"] == "unknown_uuid"
        assert post(guarded, [{"type": "image_url", "uuid": whole["uuid"]}]).json()["error"]["code"] == "unknown_uuid"
        assert post(guarded, [{**again, "uuid": ""}]).json()["error"]["param"] == "messages[0].content[0].uuid"
    # They count as the clips and files that they are, and frames keep their times.
    named = {"type": "video_url", "uuid": "clip-1"}
    assert "videos" in post(guarded, [named] * 99).json()["error"]["message"]
    assert post(guarded, [{"type": "video", "uuid": "clip-2", "times": [0, 1, 2, 3]}]).json()["error"]["param"] == "messages[0].content[0].times"
    assert post(guarded, [{"type": "video"}]).json()["error"]["param"] == "messages[0].content[0].video"
