"""The README's Python snippet, as it stands there, about the sample picture beside it."""

import re, subprocess, sys

from conftest import ROOT, ask, data_url


def test_the_snippet_runs_and_answers_right(gateway):
    snippet = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    assert "http://127.0.0.1:8080/v1" in snippet
    code = snippet.replace("http://127.0.0.1:8080/v1", gateway.url)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "red" in run.stdout and "circle" in run.stdout, run.stdout


def test_the_pages_first_questions_are_answered_right(client):
    """The three samples that the web page shows at the first start, as the page asks them."""
    ui = ROOT / "crates/server/ui/src"
    asked = dict(re.findall(r"name: '(\w+)\.png', question: '([^']+)'", (ui / "view/welcome.tsx").read_text()))
    wanted = {"object": "purple rectangle", "count": "2", "number": "6"}
    assert asked.keys() == wanted.keys()
    for name, question in asked.items():
        picture = data_url((ui / f"samples/{name}.png").read_bytes())
        answer = client.chat.completions.create(model="gpt-4o", messages=ask(question, picture), temperature=0).choices[0].message.content
        assert wanted[name] in answer.lower(), (name, answer)
