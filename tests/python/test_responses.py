"""`client.responses` of the official SDK against the demo model; that each answer fits OpenAI's specification is checked
below all tests (contract.py)."""

import json
from enum import Enum

import openai
import pytest
from conftest import Gateway, data_url, png, red_circle
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

MODEL = "gpt-4o"
RED = data_url(png(red_circle()))
CLICK = {"type": "function", "name": "click", "strict": True, "parameters": {
    "type": "object", "additionalProperties": False, "required": ["x", "y"],
    "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 1000}, "y": {"type": "integer", "minimum": 0, "maximum": 1000}}}}


def ask(text, *urls, **extra):
    return [{"role": "user", "content": [*({"type": "input_image", "image_url": u, **extra} for u in urls), {"type": "input_text", "text": text}]}]


def sensible(text):
    return "red" in text and "circle" in text


def test_the_readmes_first_snippet(gateway):
    """openai-python's README begins like this; only the address, the key and the model's name are ours."""
    client = OpenAI(base_url=gateway.url, api_key="any")
    response = client.responses.create(
        model=MODEL,
        instructions="You are a coding assistant that talks like a pirate.",
        input="How do I check if a Python object is an instance of a class?",
    )
    assert isinstance(response.output_text, str) and response.status == "completed"


def test_the_readmes_vision_snippet(client, pictures):
    prompt = "What is this?"
    for url in (RED, f"http://{pictures}/red.png"):
        response = client.responses.create(
            model=MODEL,
            input=[{"role": "user", "content": [{"type": "input_text", "text": prompt}, {"type": "input_image", "image_url": url}]}],
        )
        assert sensible(response.output_text), response


def test_everything_of_a_response(client):
    response = client.responses.create(model=MODEL, input=ask("What is this?", RED, detail="low"), temperature=0, metadata={"a": "b"},
                                       include=["message.output_text.logprobs"], top_logprobs=2, user="me", store=False)
    [message] = response.output
    assert (message.type, message.role, message.status) == ("message", "assistant", "completed") and response.id.startswith("resp_")
    tokens = message.content[0].logprobs
    assert "".join(t.token for t in tokens) == response.output_text and all(len(t.top_logprobs) == 2 for t in tokens)
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens and usage.output_tokens_details.reasoning_tokens == 0
    assert 0 < usage.input_tokens_details.model_dump()["image_tokens"] < usage.input_tokens
    assert response.metadata == {"a": "b"} and response.temperature == 0 and response.created_at <= response.completed_at
    chat = client.chat.completions.create(model=MODEL, temperature=0, messages=[{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": RED, "detail": "low"}}, {"type": "text", "text": "What is this?"}]}])
    assert (chat.choices[0].message.content, chat.usage.prompt_tokens) == (response.output_text, usage.input_tokens), "one model behind both"


def test_a_stream_says_the_same(client):
    whole = client.responses.create(model=MODEL, input=ask("What is this?", RED))
    events = list(client.responses.create(model=MODEL, input=ask("What is this?", RED), stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert [e.type for e in events[:4]] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert events[-1].type == "response.completed" and events[-1].response.output_text == whole.output_text
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    with client.responses.stream(model=MODEL, input=ask("What is this?", RED)) as stream:
        assert any(e.type == "response.output_text.done" for e in stream)
        assert stream.get_final_response().output_text == whole.output_text


async def test_async(gateway):
    async with AsyncOpenAI(base_url=gateway.url, api_key="any", max_retries=0, timeout=120) as client:
        stream = await client.responses.create(model=MODEL, input=ask("What is this?", RED), stream=True)
        events = [e async for e in stream]
        assert sensible(events[-1].response.output_text)
        assert sensible((await client.responses.create(model=MODEL, input=ask("What is this?", RED))).output_text)


def test_a_conversation_goes_on(client):
    first = client.responses.create(model=MODEL, input=ask("What is this?", RED))
    second = client.responses.create(model=MODEL, input="What color is it?", previous_response_id=first.id)
    assert "red" in second.output_text, second.output_text
    sent = [*ask("What is this?", RED), *(o.model_dump() for o in first.output), {"role": "user", "content": "What color is it?"}]
    again = client.responses.create(model=MODEL, input=sent, store=False)
    assert (again.output_text, again.usage.input_tokens) == (second.output_text, second.usage.input_tokens)
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [i.type for i in items] == ["message"] * 3 and items[0].content[0].image_url == RED and items[1].role == "assistant"
    newest = client.responses.input_items.list(second.id, limit=1)
    assert newest.data[0].content[0].text == "What color is it?" and newest.has_more
    assert client.responses.retrieve(second.id).output_text == second.output_text
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input="x", previous_response_id=first.id)
    assert refused.value.param == "previous_response_id" and refused.value.code == "previous_response_not_found"


class Colour(str, Enum):
    red = "red"
    blue = "blue"


class Thing(BaseModel, extra="forbid"):
    colour: Colour
    count: int = Field(ge=0, le=9)


def test_structured_answers(client):
    for seed in range(3):
        parsed = client.responses.parse(model=MODEL, input=ask("What is this?", RED), text_format=Thing, temperature=2, extra_body={"seed": seed})
        assert isinstance(parsed.output_parsed, Thing)
    with client.responses.stream(model=MODEL, input=ask("What is this?", RED), text_format=Thing, temperature=1) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Thing)
    free = client.responses.create(model=MODEL, input="Say it as JSON.", text={"format": {"type": "json_object"}}, temperature=1, max_output_tokens=200)
    assert free.status == "incomplete" or isinstance(json.loads(free.output_text), dict)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input="x", text={"format": {"type": "json_schema", "name": "n", "strict": True,
                                "schema": {"type": "integer", "minimum": 2, "maximum": 1}}})
    assert refused.value.param == "text.format.schema"


def test_an_answer_that_is_cut_says_so(client):
    response = client.responses.create(model=MODEL, input="x", max_output_tokens=16, extra_body={"ignore_eos": True})
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.usage.output_tokens == 16
    events = list(client.responses.create(model=MODEL, input="x", max_output_tokens=16, stream=True, extra_body={"ignore_eos": True}))
    assert events[-1].type == "response.incomplete"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "click"},
                                    {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "click"}]}])
def test_calls_and_their_results(client, choice):
    request = dict(model=MODEL, tools=[CLICK], tool_choice=choice, parallel_tool_calls=False, temperature=1, extra_body={"seed": 5})
    first = client.responses.create(input=ask("Click it.", RED), **request)
    [call] = first.output
    point = json.loads(call.arguments)
    assert call.type == "function_call" and call.name == "click" and call.call_id.startswith("call_") and 0 <= point["x"] <= 1000
    events = list(client.responses.create(input=ask("Click it.", RED), stream=True, **request))
    assert "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta") == call.arguments
    result = {"type": "function_call_output", "call_id": call.call_id, "output": [{"type": "input_image", "image_url": RED, "detail": "auto"}]}
    second = client.responses.create(model=MODEL, tools=[CLICK], tool_choice="none", previous_response_id=first.id, input=[result], max_output_tokens=16)
    images = lambda r: r.usage.input_tokens_details.model_dump()["image_tokens"]
    assert images(second) == 2 * images(first)
    with pytest.raises(openai.BadRequestError, match="No tool output found"):
        client.responses.create(model=MODEL, previous_response_id=first.id, input="And now?")


def test_in_the_background(client):
    response = client.responses.create(model=MODEL, input=ask("What is this?", RED), background=True)
    assert response.status in ("queued", "in_progress", "completed")
    while response.status in ("queued", "in_progress"):
        response = client.responses.retrieve(response.id)
    assert response.status == "completed" and sensible(response.output_text)
    long = client.responses.create(model=MODEL, input=ask("What is this?", RED), background=True, extra_body={"ignore_eos": True})
    assert client.responses.cancel(long.id).status == "cancelled"
    assert client.responses.retrieve(long.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        client.responses.cancel(client.responses.create(model=MODEL, input="x").id)


def test_a_story_is_taken_up_again(client):
    stream = client.responses.create(model=MODEL, input=ask("What is this?", RED), background=True, stream=True)
    heard = [next(stream) for _ in range(4)]
    stream.close()
    rest = list(client.responses.retrieve(heard[0].response.id, stream=True, starting_after=heard[-1].sequence_number))
    assert [e.sequence_number for e in rest] == list(range(4, 4 + len(rest)))
    assert rest[-1].type == "response.completed" and sensible(rest[-1].response.output_text)


def test_prompts_are_counted(client):
    counted = client.responses.input_tokens.count(model=MODEL, input=ask("What is this?", RED))
    assert counted.input_tokens == client.responses.create(model=MODEL, input=ask("What is this?", RED)).usage.input_tokens


def test_what_cannot_be_is_refused_with_its_place(client):
    for request, param in [
        (dict(input=ask("x", "data:image/png;base64,AAAA")), "input[0].content[0].image_url"),
        (dict(input=ask("x", RED, detail="LOW")), "input[0].content[0].detail"),
        (dict(input="x", tools=[{"type": "web_search"}]), "tools[0].type"),
        (dict(input="x", conversation="conv_1"), "conversation"),
        (dict(input="x", max_output_tokens=5), "max_output_tokens"),
        (dict(input="x" * 100_000), "input"),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=MODEL, **request)
        assert refused.value.param == param
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="none", input="x")


def test_truncation_keeps_what_fits(client):
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"{i} " + "word " * 300} for i in range(40)]
    turns.append({"role": "user", "content": "What?"})
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input=turns)
    assert refused.value.code == "context_length_exceeded"
    response = client.responses.create(model=MODEL, input=turns, truncation="auto", max_output_tokens=16)
    assert response.status in ("completed", "incomplete") and response.truncation == "auto"


def test_keys_do_not_see_each_other(tmp_path, pictures):
    gateway = Gateway(tmp_path / "log", "--api-key", "one", "--api-key", "two")
    try:
        one, two = (OpenAI(base_url=gateway.url, api_key=k, max_retries=0) for k in ("one", "two"))
        mine = one.responses.create(model=MODEL, input="x")
        assert one.responses.retrieve(mine.id).id == mine.id
        for attempt in (two.responses.retrieve, two.responses.delete, two.responses.cancel, lambda i: list(two.responses.input_items.list(i))):
            with pytest.raises(openai.NotFoundError):
                attempt(mine.id)
    finally:
        gateway.stop()
