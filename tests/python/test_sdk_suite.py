"""openai-python's own tests of the endpoints that vlgate has, as its source distribution on PyPI carries them."""

import json, os, pathlib, subprocess, sys, tarfile, urllib.request

import openai
import pytest
from conftest import BINARY, ROOT, Gateway

HERE = ROOT / "tests/sdk-suites"
# What of the suite is run, by the endpoint that it is about.
CASES = {"chat": "/v1/chat/completions", "test_models.py": "/v1/models", "test_completions.py": "/v1/completions", "test_files.py": "/v1/files",
         "test_batches.py": "/v1/batches", "test_responses.py": "/v1/responses", "responses": "/v1/responses"}


@pytest.fixture(scope="module")
def suite():
    """The unpacked source distribution; kept beside the build, with its hash checked by pip when it is fetched."""
    kept = pathlib.Path(BINARY).resolve().parents[1] / "sdk-suites"
    folder = kept / f"openai-{openai.__version__}"
    if not (folder / "tests").is_dir():
        pin = HERE / "python-suite.txt"
        assert pin.read_text().startswith(f"openai=={openai.__version__} "), "the suite is that of the installed SDK"
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", "openai",
                        "--require-hashes", "-r", str(pin), "-d", str(kept)], check=True, timeout=600)
        with tarfile.open(kept / f"openai-{openai.__version__}.tar.gz") as archive:
            archive.extractall(kept, filter="data")
    return folder


def test_openai_pythons_own_suite(suite, tmp_path):
    g = Gateway(tmp_path / "log", "--config", str(HERE / "vlgate.toml"), env={"XDG_DATA_HOME": str(tmp_path / "data")})
    env = {**os.environ, "TEST_API_BASE_URL": g.url, "PYTHONPATH": str(HERE)}
    try:
        served = json.load(urllib.request.urlopen(g.url.removesuffix("/v1") + "/openapi.json"))["paths"]
        paths = [f"tests/api_resources/{cases}" for cases, path in CASES.items() if path in served]
        run = subprocess.run([sys.executable, "-m", "pytest", "-c", str(HERE / "suite.ini"), "--rootdir", str(suite), "-p", "against_vlgate", *paths],
                             cwd=suite, env=env, capture_output=True, text=True, timeout=900)
    finally:
        g.stop()
    print(run.stdout[-1000:])
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2000:]
