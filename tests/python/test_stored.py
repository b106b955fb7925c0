"""Chat completions that are kept, through the official SDK; that each answer fits OpenAI's specification is checked below
all tests (contract.py)."""

import openai
import pytest
from conftest import data_url, png, red_circle
from openai import AsyncOpenAI

MODEL = "gpt-4o"
RED = data_url(png(red_circle()))
PARTS = [{"type": "image_url", "image_url": {"url": RED, "detail": "low"}}, {"type": "text", "text": "What is this?"}]
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PARTS}]


def create(client, run, **extra):
    return client.chat.completions.create(model=MODEL, messages=MESSAGES, store=True, metadata={"run": run, **extra}, temperature=0)


def test_a_completions_life(client):
    made = create(client, "life")
    assert client.chat.completions.retrieve(made.id) == made
    changed = client.chat.completions.update(made.id, metadata={"run": "life", "seen": "yes"})
    assert (changed.metadata, changed.choices) == ({"run": "life", "seen": "yes"}, made.choices)
    assert client.chat.completions.retrieve(made.id) == changed
    assert [c.id for c in client.chat.completions.list(metadata={"seen": "yes"})] == [made.id]
    gone = client.chat.completions.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "chat.completion.deleted", True)
    for look in [client.chat.completions.retrieve, client.chat.completions.delete, client.chat.completions.messages.list,
                 lambda id: client.chat.completions.update(id, metadata=None)]:
        with pytest.raises(openai.NotFoundError) as error:
            look(made.id)
        assert error.value.body["message"] == f"Chat completion with id '{made.id}' not found."


def test_a_stream_is_kept_whole(client):
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES, store=True, temperature=0,
                                        stream_options={"include_usage": True}) as stream:
        told = stream.get_final_completion()
    kept = client.chat.completions.retrieve(told.id)
    assert "red" in kept.choices[0].message.content
    assert kept.choices[0].message.content == told.choices[0].message.content
    assert (kept.usage, kept.choices[0].finish_reason) == (told.usage, told.choices[0].finish_reason)


def test_lists_go_on_page_by_page(client):
    made = [create(client, "pages", number=str(i)).id for i in range(3)]
    page = client.chat.completions.list(limit=2, metadata={"run": "pages"})
    assert page.has_more and [c.id for c in page.data] == made[:2]
    assert [c.id for c in page] == made, "the SDK asks for the next page itself"
    assert [c.id for c in client.chat.completions.list(limit=1, order="desc", metadata={"run": "pages"})] == made[::-1]
    assert [c.id for c in client.chat.completions.list(metadata={"run": "pages", "number": "1"}, model=MODEL)] == made[1:2]
    assert not client.chat.completions.list(metadata={"run": "pages"}, model="other").data


def test_messages_are_those_of_the_request(client):
    made = create(client, "messages")
    messages = list(client.chat.completions.messages.list(made.id, limit=1))
    assert [m.id for m in messages] == [f"{made.id}-0", f"{made.id}-1"]
    assert (messages[0].role, messages[0].content, messages[0].content_parts) == ("system", "Be brief.", None)
    assert messages[1].content is None and [p.to_dict() for p in messages[1].content_parts] == PARTS
    assert [m.id for m in client.chat.completions.messages.list(made.id, order="desc")] == [m.id for m in messages][::-1]


async def test_the_async_client_does_the_same(gateway):
    async with AsyncOpenAI(base_url=gateway.url, api_key="any") as client:
        made = await create(client, "async")
        assert await client.chat.completions.retrieve(made.id) == made
        assert [c.id async for c in client.chat.completions.list(metadata={"run": "async"})] == [made.id]
        assert len([m async for m in client.chat.completions.messages.list(made.id)]) == 2
        assert (await client.chat.completions.delete(made.id)).deleted
