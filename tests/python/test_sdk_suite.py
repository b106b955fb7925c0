"""openai-python's own tests of the endpoints that vlgate has, as its source distribution on PyPI carries them."""

import os, pathlib, re, subprocess, sys, tarfile

import openai
import pytest
from conftest import BINARY, ROOT, Gateway

HERE = ROOT / "tests/sdk-suites"
# What is there on this server decides what is run: a case of an endpoint that is missing is not a case that cannot pass.
CASES = ["chat", "test_models.py", "test_completions.py", "test_files.py", "test_batches.py", "test_responses.py", "responses"]


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
    g = Gateway(tmp_path / "log", "--config", str(HERE / "vlgate.toml"))
    env = {**os.environ, "TEST_API_BASE_URL": g.url, "PYTHONPATH": str(HERE)}
    paths = [f"tests/api_resources/{c}" for c in CASES]
    try:
        run = subprocess.run([sys.executable, "-m", "pytest", "-c", str(HERE / "suite.ini"), "--rootdir", str(suite), "-p", "against_vlgate", *paths],
                             cwd=suite, env=env, capture_output=True, text=True, timeout=900)
    finally:
        g.stop()
    print(run.stdout[-1000:])
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2000:]
    passed, listed = (int((re.search(rf"(\d+) {word}", run.stdout) or [0, 0])[1]) for word in ("passed", "xfailed"))
    assert passed > 2 * listed, run.stdout[-1000:]
