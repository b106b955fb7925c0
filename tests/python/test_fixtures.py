"""The engine against what transformers computed (tests/fixtures/README.md), through the API: prompt tokens, log-probabilities
of the first token, greedy tokens; text, one picture, three of different sizes amid text, two turns, very wide, very small."""

import json

import httpx2 as httpx
import pytest
from conftest import ROOT, Gateway, data_url

FIXTURES = ROOT / "tests/fixtures"
CASES = json.loads((FIXTURES / "cases.json").read_text())
FOLDERS = {"random-tiny": FIXTURES / "random-tiny", "demo": ROOT / "crates/demo-model/model"}
RUNTIMES = ["native", "mistralrs"]
# mistral.rs 0.8.1 is not exact with pictures: its merger has the tanh form of GELU where transformers has erf (1e-3 in
# every log-probability), which is enough to choose other tokens in these cases. Text is exact to 1e-5.
INEXACT = {("mistralrs", "random-tiny", "one_image"), ("mistralrs", "random-tiny", "small")}
# Greatest difference of a log-probability. The fixtures are rounded to 5 places; the rest is the order of f32 sums.
TOLERANCE = 2e-3


def byte_table():
    """GPT-2's printable characters for bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


def token_bytes(folder):
    table, spec = byte_table(), json.loads((folder / "tokenizer.json").read_text())
    own = {i: bytes(table[c] for c in text) for text, i in spec["model"]["vocab"].items()}
    return own | {t["id"]: t["content"].encode() for t in spec["added_tokens"]}


@pytest.fixture(scope="module", params=[(m, r) for m in FOLDERS for r in RUNTIMES], ids=lambda p: "-".join(p))
def served(request, tmp_path_factory):
    model, runtime = request.param
    g = Gateway(tmp_path_factory.mktemp("fixtures") / "log", "--model", str(FOLDERS[model]), "--runtime", runtime, "--served-name", "m")
    yield g, model, runtime, token_bytes(FOLDERS[model])
    g.stop()


# In this order on one server: `wide` begins like `one_image` up to its picture, so its prefill starts at a picture behind a
# beginning that is cached (the native runtime once lost that beginning).
@pytest.mark.parametrize("name", [c["name"] for c in CASES["demo"]])
def test_a_case(served, name, request):
    gateway, model, runtime, tokens = served
    if (runtime, model, name) in INEXACT:
        request.applymarker(pytest.mark.xfail(reason="mistral.rs 0.8.1 differs from transformers here"))
    case = next(c for c in CASES[model] if c["name"] == name)
    messages = json.loads(json.dumps(case["messages"]))
    for part in (p for m in messages if isinstance(m["content"], list) for p in m["content"] if p["type"] == "image_url"):
        part["image_url"]["url"] = data_url((FIXTURES / case["pictures"] / part["image_url"]["url"]).read_bytes())
    body = {"model": "m", "messages": messages, "temperature": 0, "max_tokens": 16, "logprobs": True, "top_logprobs": 20}
    answer = httpx.post(gateway.url + "/chat/completions", json=body, timeout=60).json()
    usage, entries = answer["usage"], answer["choices"][0]["logprobs"]["content"]
    merged = sum(t * h * w // 4 for t, h, w in case["image_grid_thw"] or [])
    assert usage["prompt_tokens"] == len(case["input_ids"])
    assert usage["prompt_tokens_details"]["image_tokens"] == merged
    said = {bytes(t["bytes"]): t["logprob"] for t in entries[0]["top_logprobs"]}
    for token, logprob in case["top20"][:18]:      # the last two may change places with what comes after them
        assert said[tokens[token]] == pytest.approx(logprob, abs=TOLERANCE), (token, tokens[token])
    # The answer ends where transformers, which was told to go on, would have ended it.
    ends = [i for i, t in enumerate(case["greedy_tokens"]) if tokens[t] in (b"<|im_end|>", b"<|endoftext|>")]
    wanted = [tokens[t] for t in case["greedy_tokens"][:min(ends, default=16)]]
    assert [bytes(e["bytes"]) for e in entries] == wanted, case["greedy_least_margin"]
