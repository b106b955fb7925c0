"""Every input of tests/hostile through the real binary: 400 in OpenAI's shape that names the part (or an answer, where the
input is hostile in looks only), soon, in bounded memory, and a server that goes on."""

import importlib, json, os, sys, time

import httpx2 as httpx
import pytest
from conftest import ROOT, Gateway, ask, data_url, png, red_circle

sys.path.insert(0, str(ROOT / "tests/hostile"))
ENTRIES = list(importlib.import_module("make").entries())
# A refusal by the header takes milliseconds (the median is printed). Drawings, clips and PDFs may be read for as long as the
# settings below say; the bound leaves a machine at work on other things ample room.
SECONDS = 60
# The embedded model and the server, the budget of all decoders together (1 GiB by default), and the request in its three forms.
PEAK_MIB = 2048
MIME = {"file": "application/pdf", "image": "image/png", "video": "video/mp4"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "vlgate.toml").write_text("[media]\nread_seconds = 10\n")
    g = Gateway(folder / "hostile.log", "--config", str(folder / "vlgate.toml"))
    yield g
    g.stop()


def content(entry):
    url = data_url(entry.raw, MIME[entry.part])
    return {"image": {"type": "image_url", "image_url": {"url": url}}, "video": {"type": "video_url", "video_url": {"url": url}},
            "file": {"type": "file", "file": {"filename": entry.name.split("/")[-1], "file_data": url}}}[entry.part]


def verdict(entry, response):
    """What is wrong with the answer, or nothing."""
    if response.status_code != entry.wanted:
        return f"{response.status_code} instead of {entry.wanted}: {response.text[:200]}"
    if entry.wanted == 200:
        return None
    error = response.json()["error"]
    if set(error) != {"message", "type", "param", "code"} or error["type"] != "invalid_request_error" or not error["code"]:
        return f"not OpenAI's shape: {error}"
    if not (error["param"] or "").startswith("messages[0].content[0]"):
        return f"names {error['param']}"
    # What decoders say begins in these words.
    if any(word in error["message"].lower() for word in ("panic", "error:", "unexpected", "invalid signature", "/tmp", "crates/")):
        return f"says too much: {error['message']}"
    return None


def test_each_is_refused_and_the_server_goes_on(alone, capsys):
    assert len(ENTRIES) >= 200 and sum(e.wanted == 400 for e in ENTRIES) >= 120
    assert len({(e.part, e.name) for e in ENTRIES}) == len(ENTRIES)
    wrong, times = [], []
    with httpx.Client(timeout=300) as http:
        def post(parts):
            # Written before the clock starts.
            body = json.dumps({"model": "gpt-4o", "max_tokens": 1, "messages": [{"role": "user", "content": parts}]}).encode()
            began = time.monotonic()
            response = http.post(alone.url + "/chat/completions", content=body, headers={"content-type": "application/json"})
            return response, time.monotonic() - began
        for entry in ENTRIES:
            response, took = post([content(entry), {"type": "text", "text": "What is it?"}])
            times.append((took, entry))
            complaint = verdict(entry, response) or (f"took {took:.1f} s" if took > SECONDS else None)
            if complaint:
                wrong.append(f"{entry.part} {entry.name}: {complaint}")
        good, _ = post(ask("hi", data_url(png(red_circle())))[0]["content"])
        assert good.status_code == 200
    refusals = sorted(((t, e.name) for t, e in times if e.wanted == 400), reverse=True)
    peak = alone.peak_mib()
    with capsys.disabled():
        within = sum(t < .1 for t, _ in refusals)
        print(f"\n{len(ENTRIES)} hostile inputs: {len(refusals)} refused, median {refusals[len(refusals) // 2][0] * 1000:.0f} ms, {within} within 100 ms; "
              f"peak memory {peak:.0f} MiB; slowest: {', '.join(f'{n} {t * 1000:.0f} ms' for t, n in refusals[:8])}")
        slow = sorted(((t, e.name) for t, e in times if e.wanted == 200), reverse=True)[:4]
        print(f"slowest of the allowed: {', '.join(f'{n} {t * 1000:.0f} ms' for t, n in slow)}")
        print(f"panics of decoders that were caught: {open(alone.log).read().count('panicked at')}")
    assert not wrong, "\n".join(wrong)
    assert peak < PEAK_MIB, f"{peak:.0f} MiB"
