"""Runs the JS SDK's tests against the same server."""

import os, subprocess

import contract
from conftest import ROOT, png, red_circle
from proxy import checking


def test_the_js_sdk(gateway, pictures, tmp_path):
    picture = tmp_path / "red.png"
    picture.write_bytes(png(red_circle()))
    before = sum(contract.checked.values())
    with checking(gateway.url) as url:
        run(url, picture, pictures)
    assert sum(contract.checked.values()) > before, "what the JS SDK gets is checked too"


def run(url, picture, pictures):
    env = {**os.environ, "VLGATE_URL": url, "VLGATE_PICTURE": str(picture), "VLGATE_PICTURE_URL": f"http://{pictures}/red.png"}
    run = subprocess.run(["node", "--test", "--test-reporter=spec"], cwd=ROOT / "tests/js", env=env, capture_output=True, text=True, timeout=120)
    print(run.stdout[-3000:])
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
