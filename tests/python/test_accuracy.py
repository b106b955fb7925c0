"""The demo model's accuracy through the API, on pictures drawn with a seed that training never used."""

import concurrent.futures, json, os, pathlib, re, subprocess, sys

import pytest
from conftest import ROOT, ask, data_url

COUNT = int(os.environ.get("VLGATE_ACCURACY_COUNT", "100"))
SEED = 987_654
# Some way below what was measured on more pictures (crates/demo-model/training/README.md): with 100 a kind the share itself
# varies by 4 points. Issue 2 asks for 0.97, 0.96, 0.96, 0.96, 0.90.
FLOOR = {"object": 0.95, "count": 0.92, "color": 0.95, "relation": 0.94, "number": 0.86}


def words(text):
    return set(re.findall(r"[a-z]+|\d+", text.lower()))


def right(row, text):
    said = words(text)
    ok = any(w.lower() in said for w in row["expect"]) and not any(w.lower() in said for w in row.get("forbid", []))
    return ok and (not row.get("expect_color") or any(w.lower() in said for w in row["expect_color"]))


@pytest.mark.parametrize("kind", FLOOR)
def test_accuracy(client, tmp_path, kind):
    script = ROOT / "crates/demo-model/training/draw.py"
    subprocess.run([sys.executable, script, "--seed", str(SEED), "--count", str(COUNT), "--kind", kind, "--out", tmp_path], check=True)
    rows = [json.loads(l) for l in (tmp_path / "questions.jsonl").read_text().splitlines()]

    def answer(row):
        url = data_url((tmp_path / row["file"]).read_bytes())
        return client.chat.completions.create(model="gpt-4o", messages=ask(row["question"], url), max_tokens=40).choices[0].message.content

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(answer, rows))
    wrong = [(r["file"], r["question"], a, r["expect"]) for r, a in zip(rows, answers) if not right(r, a)]
    share = 1 - len(wrong) / len(rows)
    print(f"\n{kind}: {share:.3f} of {len(rows)}", *wrong[:5], sep="\n  ")
    assert share >= FLOOR[kind]
