"""An error of each kind, in OpenAI's shape, and a server that goes on."""

import json, subprocess, time

import httpx2 as httpx
import openai
import pytest
from conftest import BINARY, Gateway, ask, data_url, png, red_circle
from openai import OpenAI

RED = data_url(png(red_circle()))
MODEL = "gpt-4o"


def refused(client, **request):
    with pytest.raises(openai.BadRequestError) as e:
        client.chat.completions.create(**{"model": MODEL, "messages": ask("hi", RED), **request})
    assert set(e.value.body) == {"message", "type", "param", "code"}
    return e.value.body


@pytest.mark.parametrize("url,code", [
    ("data:image/png;base64,", "empty_image_file"),
    ("data:;base64,", "empty_image_file"),
    ("data:image/png;base64,!!!!", "invalid_base64_image"),
    (data_url(b"hello, I am not a picture"), "invalid_image_format"),
    ("ftp://example.com/a.png", "invalid_image_url"),
    ("not a url", "invalid_image_url"),
    ("http://127.0.0.1:1/a.png", "invalid_image_url"),
    ("http://169.254.169.254/latest/meta-data", "invalid_image_url"),
    ("http://[::ffff:127.0.0.1]/a.png", "invalid_image_url"),
    ("http://2130706433/a.png", "invalid_image_url"),
    ("http://user:pw@example.com/a.png", "invalid_image_url"),
])
def test_a_bad_picture_names_its_part(client, url, code):
    body = refused(client, messages=[{"role": "system", "content": "x"}, *ask("hi", url)])
    assert body["code"] == code, body
    assert body["param"] == "messages[1].content[0].image_url.url" or body["param"] == "messages[1].content[0].image_url", body


def test_html_instead_of_a_picture(client, pictures):
    assert refused(client, messages=ask("hi", f"http://{pictures}/page.html"))["code"] == "invalid_image_format"


def test_bad_fields_are_named(client):
    assert refused(client, messages=ask("hi", RED, detail="LOW"))["param"] == "messages[0].content[0].image_url.detail"
    assert refused(client, temperature=3)["param"] == "temperature"
    assert refused(client, messages=[])["param"] == "messages"
    assert refused(client, extra_body={"temperature": "hot"})["param"] == "temperature"
    assert refused(client, top_logprobs=3)["param"] == "top_logprobs"
    assert refused(client, max_tokens=10_000_000)["code"] == "context_length_exceeded"
    assert refused(client, messages=ask("word " * 30_000, RED))["code"] == "context_length_exceeded"


def test_unknown_model_url_method_and_json(client, gateway):
    with pytest.raises(openai.NotFoundError) as e:
        client.chat.completions.create(model="nope", messages=ask("hi"))
    assert e.value.body["code"] == "model_not_found"
    for response, status in [(httpx.get(gateway.url + "/nothing"), 404), (httpx.get(gateway.url + "/completions"), 405),
                             (httpx.post(gateway.url + "/chat/completions", content=b"{broken"), 400),
                             (httpx.post(gateway.url + "/chat/completions", content=b"\xff\xfe"), 400),
                             (httpx.post(gateway.url + "/chat/completions", content=b"[" * 200_000), 400)]:
        assert response.status_code == status and set(response.json()["error"]) == {"message", "type", "param", "code"}, response.text
        assert response.headers["x-request-id"]


def test_fifty_damaged_pictures(client, gateway):
    """Truncations and flips of a real PNG, JPEG and WebP: 400 each (or an answer where the damage is harmless), never 5xx."""
    import io, random
    rng, codes = random.Random(5), []
    for kind in ("PNG", "JPEG", "WEBP"):
        out = io.BytesIO()
        red_circle(96).save(out, kind)
        raw = out.getvalue()
        for _ in range(17):
            damaged = bytearray(raw[:rng.randrange(len(raw) // 2)])
            if damaged and rng.random() < .5:
                damaged[rng.randrange(len(damaged))] ^= 0xFF
            body = {"model": MODEL, "messages": ask("hi", data_url(bytes(damaged))), "max_tokens": 4}
            response = httpx.post(gateway.url + "/chat/completions", json=body, timeout=30)
            codes.append(response.status_code)
            assert response.status_code == 400 or (kind == "JPEG" and response.status_code == 200), response.text
    assert len(codes) > 50 and codes.count(400) >= 34
    assert client.chat.completions.create(model=MODEL, messages=ask("What is this?", RED)).choices


def test_a_body_that_is_too_large(gateway):
    response = httpx.post(gateway.url + "/chat/completions", content=b" " * (65 << 20), timeout=60)
    assert response.status_code == 413 and response.json()["error"]["message"]


def test_keys(tmp_path):
    closed = subprocess.run([BINARY, "serve", "--host", "0.0.0.0", "--port", "0"], capture_output=True, text=True, timeout=30)
    assert closed.returncode != 0 and "--api-key" in closed.stderr
    g = Gateway(tmp_path / "log", env={"VLGATE_API_KEY": "secret"})
    try:
        with pytest.raises(openai.AuthenticationError) as e:
            OpenAI(base_url=g.url, api_key="wrong", max_retries=0).models.list()
        assert e.value.body["code"] == "invalid_api_key"
        assert OpenAI(base_url=g.url, api_key="secret").models.list().data
        assert "secret" not in (tmp_path / "log").read_text()
    finally:
        began = time.monotonic()
        assert g.stop() == 0 and time.monotonic() - began < 10
