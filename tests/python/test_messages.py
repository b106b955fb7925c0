"""`POST /v1/messages` through Anthropic's official SDK, with nothing changed but the base URL."""

import base64, json

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import Message
from conftest import png, red_circle

MODEL = "gpt-4o"
PNG = base64.b64encode(png(red_circle())).decode()
CLICK = {"name": "click", "description": "Clicks.", "input_schema": {
    "type": "object", "additionalProperties": False, "required": ["x"], "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 9}}}}


@pytest.fixture(scope="module")
def claude(gateway):
    return Anthropic(base_url=gateway.url.removesuffix("/v1"), api_key="any", max_retries=0, timeout=120)


def ask(text, source=None):
    source = source or {"type": "base64", "media_type": "image/png", "data": PNG}
    return [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": text}]}]


def sensible(text):
    return "red" in text and "circle" in text


def test_a_picture_and_a_question(claude, client, pictures):
    message = claude.messages.create(model=MODEL, max_tokens=64, messages=ask("What is this?"))
    assert sensible(message.content[0].text) and message.stop_reason == "end_turn" and message._request_id
    by_url = claude.messages.create(model=MODEL, max_tokens=64, messages=ask("What is this?", {"type": "url", "url": f"http://{pictures}/red.png"}))
    assert by_url.content[0].text == message.content[0].text
    Message.model_validate(message.model_dump(), strict=True)
    chat = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, {"type": "text", "text": "What is this?"}]}])
    usage = message.usage
    assert usage.input_tokens + usage.cache_read_input_tokens == chat.usage.prompt_tokens
    counted = claude.messages.count_tokens(model=MODEL, messages=ask("What is this?"))
    assert counted.input_tokens == chat.usage.prompt_tokens


def test_a_stream_says_the_same(claude):
    whole = claude.messages.create(model=MODEL, max_tokens=64, system="Look.", messages=ask("What is this?"))
    with claude.messages.stream(model=MODEL, max_tokens=64, system=[{"type": "text", "text": "Look."}], messages=ask("What is this?")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    events = [e.type for e in claude.messages.create(model=MODEL, max_tokens=64, messages=ask("What is this?"), stream=True)]
    assert events[0] == "message_start" and events[-2:] == ["message_delta", "message_stop"] and "content_block_stop" in events


def test_why_it_ended(claude):
    cut = claude.messages.create(model=MODEL, max_tokens=1, messages=ask("What is this?"))
    assert cut.stop_reason == "max_tokens" and cut.usage.output_tokens == 1
    stopped = claude.messages.create(model=MODEL, max_tokens=10**6, messages=ask("What is this?"), stop_sequences=["circle"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "circle") and "circle" not in stopped.content[0].text


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "click", "disable_parallel_tool_use": True}])
def test_calls_and_their_results(claude, choice):
    request = dict(model=MODEL, max_tokens=200, messages=ask("Click it."), tools=[CLICK], tool_choice=choice, extra_body={"temperature": 1, "seed": 3})
    message = claude.messages.create(**request)
    call = message.content[0]
    assert message.stop_reason == "tool_use" and call.type == "tool_use" and call.name == "click" and 0 <= call.input["x"] <= 9
    with claude.messages.stream(**request) as stream:
        assert stream.get_final_message().content[0].input == call.input
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": [{"type": "text", "text": "done"}, ask("")[0]["content"][0]]} for c in message.content]
    messages = [*ask("Click it."), {"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    after = claude.messages.create(model=MODEL, max_tokens=16, messages=messages, tools=[CLICK])
    assert after.usage.input_tokens + after.usage.cache_read_input_tokens > message.usage.input_tokens


def test_a_form_is_kept(claude):
    schema = {"type": "object", "additionalProperties": False, "required": ["colour"], "properties": {"colour": {"enum": ["red", "blue"]}}}
    message = claude.messages.create(model=MODEL, max_tokens=100, messages=ask("What is this?"), extra_body={"temperature": 1},
                                     output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(message.content[0].text)["colour"] in ("red", "blue")


def test_errors(claude):
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.source"):
        claude.messages.create(model=MODEL, max_tokens=9, messages=ask("x", {"type": "base64", "media_type": "image/png", "data": "AAAA"}))
    with pytest.raises(anthropic.NotFoundError) as refused:
        claude.messages.create(model="none", max_tokens=9, messages=ask("x"))
    assert refused.value.body["error"]["type"] == "not_found_error" and refused.value.request_id
