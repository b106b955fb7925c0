"""LiteLLM: `openai/...` with a base URL."""

import json

import litellm
import pytest
from conftest import MODEL, QUESTION, URL, Point, sensible

ASK = {"model": f"openai/{MODEL}", "api_base": URL, "api_key": "any", "num_retries": 0, "timeout": 60,
       "messages": [{"role": "user", "content": QUESTION}]}
CLICK = {"type": "function", "function": {"name": "click", "description": "Clicks.", "strict": True,
                                          "parameters": {**Point.model_json_schema(), "additionalProperties": False}}}


def test_a_question_about_a_picture():
    answer = litellm.completion(**ASK)
    assert sensible(answer.choices[0].message.content) and answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream():
    pieces = list(litellm.completion(**ASK, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(pieces)
    assert len(pieces) > 2 and sensible(whole.choices[0].message.content)
    assert whole.usage.prompt_tokens == litellm.completion(**ASK).usage.prompt_tokens, "the server's count, not an estimate"


async def test_an_async_stream():
    text = ""
    async for piece in await litellm.acompletion(**ASK, stream=True):
        text += piece.choices[0].delta.content or ""
    assert sensible(text)


def test_a_tool_is_called_and_its_result_fed_back():
    options = {"tools": [CLICK], "temperature": 1, "seed": 1}
    message = litellm.completion(**ASK, **options, tool_choice={"type": "function", "function": {"name": "click"}}).choices[0].message
    call = message.tool_calls[0]
    assert call.function.name == "click"
    Point.model_validate_json(call.function.arguments)
    results = [{"role": "tool", "tool_call_id": c.id, "content": "clicked"} for c in message.tool_calls]
    again = {**ASK, "messages": [*ASK["messages"], message.model_dump(exclude_none=True), *results]}
    assert litellm.completion(**again, tools=[CLICK], max_tokens=5).choices[0].message.role == "assistant"


def test_a_streamed_tool_call():
    pieces = list(litellm.completion(**ASK, tools=[CLICK], tool_choice="required", parallel_tool_calls=False, temperature=1, seed=2, stream=True))
    [call] = litellm.stream_chunk_builder(pieces).choices[0].message.tool_calls
    assert call.function.name == "click"
    Point.model_validate_json(call.function.arguments)


@pytest.mark.parametrize("form", [Point, {"type": "json_object"}])
def test_a_structured_answer(form):
    text = litellm.completion(**ASK, response_format=form, temperature=1, seed=3, max_tokens=300).choices[0]
    if form is Point:
        Point.model_validate_json(text.message.content)
    else:  # any object will do, and the model may not come to its end
        assert text.finish_reason == "length" or isinstance(json.loads(text.message.content), dict)


def test_an_error_has_litellms_class():
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**{**ASK, "model": "openai/nope"})
    broken = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(**{**ASK, "messages": broken})
