"""Real photos and screenshots: the toy must not fail on them, whatever it answers."""

import os, pathlib

import pytest
from conftest import ROOT, ask, data_url

SHARED = pathlib.Path(os.environ.get("VLGATE_SAMPLES", ROOT.parent / "shared/samples"))
FILES = sorted(p for p in SHARED.glob("*") if p.suffix in {".png", ".jpg", ".jpeg"})


@pytest.mark.skipif(not FILES, reason="no sample pictures beside the checkout")
@pytest.mark.parametrize("detail", ["low", "high", "auto"])
@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_a_real_picture(client, file, detail):
    answer = client.chat.completions.create(model="gpt-4o", messages=ask("Describe the picture.", data_url(file.read_bytes()), detail=detail))
    assert answer.choices[0].message.content and answer.usage.prompt_tokens_details.model_dump()["image_tokens"] > 0
