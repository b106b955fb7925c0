"""Structured answers and tools through the official SDK. The demo model was taught neither: what holds here is enforced."""

import json
from enum import Enum

import openai
import pytest
from conftest import ask, data_url, png, red_circle
from pydantic import BaseModel, Field

MODEL = "gpt-4o"
RED = data_url(png(red_circle()))
TOOLS = [
    {"type": "function", "function": {"name": "click", "strict": True, "parameters": {
        "type": "object", "additionalProperties": False, "required": ["x", "y"],
        "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 1000}, "y": {"type": "integer", "minimum": 0, "maximum": 1000}}}}},
    {"type": "function", "function": {"name": "wait", "parameters": {"type": "object", "additionalProperties": False, "properties": {}}}},
]


class Colour(str, Enum):
    red = "red"
    blue = "blue"


class Thing(BaseModel, extra="forbid"):
    colour: Colour
    count: int = Field(ge=0, le=9)
    words: list[Colour] = Field(max_length=3)


def is_point(text):
    value = json.loads(text)
    return set(value) == {"x", "y"} and all(0 <= v <= 1000 for v in value.values())


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_is_of_its_schema_at_any_temperature(client, seed):
    answer = client.chat.completions.parse(model=MODEL, messages=ask("What is this?", RED), response_format=Thing,
                                           temperature=2, seed=seed, max_tokens=200)
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(answer.choices[0].message.parsed, Thing)


def test_the_stream_helper_parses_too(client):
    with client.chat.completions.stream(model=MODEL, messages=ask("What is this?", RED), response_format=Thing, temperature=1) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Thing)


def test_an_answer_that_is_cut_says_so(client):
    answer = client.chat.completions.create(model=MODEL, messages=ask("What?"), max_tokens=3, response_format={
        "type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": Thing.model_json_schema()}})
    assert answer.choices[0].finish_reason == "length"


def test_a_schema_that_cannot_be_is_refused_with_its_place(client):
    for schema in [{"type": "object", "properties": {"a": {"type": "colour"}}}, {"type": "integer", "minimum": 2, "maximum": 1}]:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model=MODEL, messages=ask("What?"), response_format={
                "type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": schema}})
        assert refused.value.param == "response_format.json_schema.schema"


def test_choices_and_regular_expressions_of_vllm(client):
    def say(**extra):
        return client.chat.completions.create(model=MODEL, messages=ask("What?", RED), temperature=2, extra_body=extra).choices[0].message.content
    assert say(guided_choice=["red", "blue"]) in ("red", "blue")
    assert say(structured_outputs={"regex": "[0-9]{3}"}).isdigit()
    json.loads(say(guided_json=Thing.model_json_schema()))


def test_a_required_call_is_made(client):
    for choice in ["required", {"type": "function", "function": {"name": "click"}},
                   {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "click"}}]}}]:
        answer = client.chat.completions.create(model=MODEL, messages=ask("Click it.", RED), tools=TOOLS, tool_choice=choice,
                                                parallel_tool_calls=False, temperature=2, seed=3).choices[0]
        [call] = answer.message.tool_calls
        assert answer.finish_reason == "tool_calls" and answer.message.content is None
        assert call.type == "function" and call.id.startswith("call_")
        if choice != "required":
            assert call.function.name == "click"
        assert is_point(call.function.arguments) if call.function.name == "click" else json.loads(call.function.arguments) == {}


def test_streamed_calls_are_the_same(client):
    request = dict(model=MODEL, messages=ask("Click it.", RED), tools=TOOLS, parallel_tool_calls=False, temperature=1, seed=5,
                   tool_choice={"type": "function", "function": {"name": "click"}})
    whole = client.chat.completions.create(**request).choices[0].message.tool_calls[0]
    with client.chat.completions.stream(**request) as stream:
        events = [e.type for e in stream]
        final = stream.get_final_completion().choices[0]
    [call] = final.message.tool_calls
    assert (call.function.name, call.function.arguments) == (whole.function.name, whole.function.arguments)
    assert final.finish_reason == "tool_calls" and "tool_calls.function.arguments.done" in events


def test_results_are_fed_back_and_the_old_form_works(client):
    first = client.chat.completions.create(model=MODEL, messages=ask("Click it.", RED), functions=[TOOLS[0]["function"]],
                                           function_call={"name": "click"}, temperature=1).choices[0]
    assert first.finish_reason == "function_call" and is_point(first.message.function_call.arguments)
    messages = [*ask("Click it.", RED), first.message.model_dump(exclude_none=True), {"role": "function", "name": "click", "content": "done"}]
    assert client.chat.completions.create(model=MODEL, messages=messages, max_tokens=5).choices[0].message.role == "assistant"
    call = {"id": "call_1", "type": "function", "function": {"name": "click", "arguments": "{\"x\": 1, \"y\": 2}"}}
    messages = [*ask("Click it.", RED), {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "image_url", "image_url": {"url": RED}}]}]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, max_tokens=5)
    alone = client.chat.completions.create(model=MODEL, messages=ask("Click it.", RED), max_tokens=1)
    assert answer.usage.prompt_tokens_details.model_dump()["image_tokens"] == 2 * alone.usage.prompt_tokens_details.model_dump()["image_tokens"]


def test_limits_are_in_the_headers(client):
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=ask("Hi"), max_tokens=1)
    limit, left = (int(raw.headers[f"x-ratelimit-{what}-requests"]) for what in ("limit", "remaining"))
    assert 0 < left <= limit and int(raw.headers["x-ratelimit-limit-tokens"]) > limit
