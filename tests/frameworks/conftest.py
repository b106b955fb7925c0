"""The frameworks know of vlgate what their users would write: a base URL. tests/python/test_frameworks.py starts it."""

import base64, os, pathlib

import pytest
from pydantic import BaseModel, Field

URL = os.environ["VLGATE_URL"]
MODEL = "gpt-4o"
RED = "data:image/png;base64," + base64.b64encode(pathlib.Path(os.environ["VLGATE_PICTURE"]).read_bytes()).decode()
QUESTION = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": RED}}]


class Point(BaseModel):
    """A place in the picture."""

    x: int = Field(ge=0, le=1000)
    y: int = Field(ge=0, le=1000)


def sensible(text):
    return "red circle" in text


@pytest.fixture(autouse=True)
def no_other_server(monkeypatch):
    """Whatever a framework reads from the environment, it is not another server's address."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
