"""Where a model may come from, and what is said when it cannot be loaded."""

import json, os, shutil, subprocess

import pytest
from conftest import BINARY, ROOT, Gateway, ask, data_url, png, red_circle
from openai import OpenAI

TINY = ROOT / "tests/fixtures/random-tiny"
FILES = [f for f in TINY.iterdir() if f.is_file()]


def hub_cache(home, repo="Some/Tiny-VL", commit="0123456789abcdef0123456789abcdef01234567"):
    """A cache as huggingface_hub lays it out: refs to a commit, snapshots of links into blobs."""
    base = home / "hub" / ("models--" + repo.replace("/", "--"))
    (base / "refs").mkdir(parents=True)
    (base / "refs/main").write_text(commit)
    (base / "blobs").mkdir()
    (base / "snapshots" / commit).mkdir(parents=True)
    for i, file in enumerate(FILES):
        shutil.copy(file, base / "blobs" / str(i))
        (base / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{i}")
    return repo


def refused(*flags, env=None):
    run = subprocess.run([BINARY, "serve", "--port", "0", *flags], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
    assert run.returncode != 0 and "panicked" not in run.stderr, run.stderr
    lines = [l for l in run.stderr.splitlines() if "ERROR" in l]
    assert len(lines) == 1, run.stderr
    return lines[0]


def test_an_id_is_found_in_the_hub_cache(tmp_path):
    repo = hub_cache(tmp_path)
    g = Gateway(tmp_path / "log", "--model", repo, env={"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"})
    try:
        client = OpenAI(base_url=g.url, api_key="x", max_retries=0)
        assert client.models.list().data[0].id == repo
        assert client.models.retrieve(repo).id == repo
        picture = data_url(png(red_circle(96)))
        assert client.chat.completions.create(model=repo, messages=ask("hi", picture), max_tokens=3).usage.completion_tokens
        assert client.chat.completions.create(model="gpt-4o", messages=ask("hi", picture), max_tokens=3).usage.completion_tokens
    finally:
        g.stop()


def copied(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("cases"))
    return folder


def test_what_is_wrong_with_a_folder_is_said_in_one_sentence(tmp_path):
    assert "neither a folder nor an id" in refused("--model", "./nowhere")
    folder = copied(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] *= 2
    (folder / "config.json").write_text(json.dumps(config))
    assert "shape" in refused("--model", str(folder), "--runtime", "native")
    (folder / "model.safetensors").write_bytes((TINY / "model.safetensors").read_bytes()[:100_000])
    assert "safetensors" in refused("--model", str(folder), "--runtime", "native")
    config["architectures"] = ["LlamaForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    assert "LlamaForCausalLM" in refused("--model", str(folder))
    (folder / "config.json").unlink()
    assert "config.json" in refused("--model", str(folder))


@pytest.mark.parametrize("quantize", ["q8", "q4"])
def test_a_quantised_model_answers(tmp_path, quantize):
    g = Gateway(tmp_path / "log", "--model", str(TINY), "--quantize", quantize)
    try:
        client = OpenAI(base_url=g.url, api_key="x", max_retries=0)
        answer = client.chat.completions.create(model="gpt-4o", messages=ask("hi", data_url(png(red_circle(96)))), max_tokens=8)
        assert answer.usage.completion_tokens == 8 or answer.choices[0].finish_reason == "stop"
    finally:
        g.stop()
