"""The README's Python snippet, as it stands there, about the sample picture beside it."""

import re, subprocess, sys

from conftest import ROOT


def test_the_snippet_runs_and_answers_right(gateway):
    snippet = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    assert "http://127.0.0.1:8080/v1" in snippet
    code = snippet.replace("http://127.0.0.1:8080/v1", gateway.url)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "red" in run.stdout and "circle" in run.stdout, run.stdout
