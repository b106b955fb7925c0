"""Runs the JS SDK's tests against the same server."""

import os, subprocess

from conftest import ROOT, png, red_circle


def test_the_js_sdk(gateway, pictures, tmp_path):
    picture = tmp_path / "red.png"
    picture.write_bytes(png(red_circle()))
    env = {**os.environ, "VLGATE_URL": gateway.url, "VLGATE_PICTURE": str(picture), "VLGATE_PICTURE_URL": f"http://{pictures}/red.png"}
    run = subprocess.run(["node", "--test", "--test-reporter=spec"], cwd=ROOT / "tests/js", env=env, capture_output=True, text=True, timeout=120)
    print(run.stdout[-3000:])
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
