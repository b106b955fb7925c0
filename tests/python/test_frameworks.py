"""LangChain, LiteLLM and async-openai against the same server, each in its own environment (tests/frameworks). The Vercel
AI SDK is among the JS tests."""

import os, pathlib, subprocess

import pytest
from conftest import BINARY, ROOT, png, red_circle

HERE = ROOT / "tests/frameworks"
BUILT = pathlib.Path(BINARY).resolve().parents[1]
PYTHON = os.environ.get("VLGATE_FRAMEWORKS_PYTHON", str(BUILT / "frameworks-venv/bin/python"))


@pytest.fixture(scope="module")
def told(gateway, tmp_path_factory):
    """What the frameworks' tests are told; LiteLLM's prices come from its package, not from the net."""
    picture = tmp_path_factory.mktemp("frameworks") / "red.png"
    picture.write_bytes(png(red_circle()))
    return {**os.environ, "VLGATE_URL": gateway.url, "VLGATE_PICTURE": str(picture), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def run(command, folder, env, limit):
    done = subprocess.run(command, cwd=HERE / folder, env=env, capture_output=True, text=True, timeout=limit)
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name,least", [("langchain", 9), ("litellm", 8)])
def test_a_python_framework(told, name, least):
    said = run([PYTHON, "-m", "pytest", f"test_{name}.py"], ".", told, 300)
    assert f"{least} passed" in said


def test_async_openai(told):
    """A crate and a lock file of its own; what it builds lies beside the gateway's."""
    env = {**told, "CARGO_TARGET_DIR": str(BUILT / "async-openai")}
    said = run(["cargo", "test", "--locked", "--quiet"], "async-openai", env, 900)
    assert "6 passed" in said
