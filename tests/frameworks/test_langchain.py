"""langchain-openai: ChatOpenAI with a base URL."""

import pytest
from conftest import MODEL, QUESTION, RED, URL, Point, sensible
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

QUESTIONS = [HumanMessage(QUESTION)]


@tool(args_schema=Point)  # `strict` and bounds below: without them a toy at temperature 1 adds properties without end
def click(x, y):
    """Clicks at a place."""
    return f"clicked at {x}, {y}"


def model(**options):
    return ChatOpenAI(model=MODEL, base_url=URL, api_key="any", max_retries=0, timeout=60, **options)


def test_a_question_about_a_picture():
    answer = model().invoke([SystemMessage("You are a helpful assistant."), *QUESTIONS])
    assert sensible(answer.content)
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["total_tokens"] == answer.usage_metadata["input_tokens"] + answer.usage_metadata["output_tokens"]


def test_a_picture_in_langchains_own_form():
    block = {"type": "image", "base64": RED.split(",")[1], "mime_type": "image/png"}
    assert sensible(model().invoke([HumanMessage([{"type": "text", "text": "What is this?"}, block])]).content)


def test_a_chain_and_a_batch():
    prompt = ChatPromptTemplate([("user", [{"type": "text", "text": "What is {what}?"}, {"type": "image_url", "image_url": {"url": "{picture}"}}])])
    answers = (prompt | model()).batch([{"what": "this", "picture": RED}] * 4)
    assert all(sensible(a.content) for a in answers)


def test_a_stream():
    pieces = list(model(stream_usage=True).stream(QUESTIONS))
    whole = sum(pieces[1:], pieces[0])
    assert len(pieces) > 2 and sensible(whole.content)
    assert whole.usage_metadata["output_tokens"] > 0


async def test_an_async_stream():
    text = ""
    async for piece in model().astream(QUESTIONS):
        text += piece.content
    assert sensible(text)


def test_a_tool_is_called_and_its_result_fed_back():
    bound = model(temperature=1, seed=1).bind_tools([click], tool_choice="click", parallel_tool_calls=False, strict=True)
    answer = bound.invoke(QUESTIONS)
    [call] = answer.tool_calls
    assert call["name"] == "click" and call["id"] and isinstance(call["args"]["x"], int)
    result = click.invoke(call)
    assert isinstance(result, ToolMessage) and result.content.startswith("clicked at")
    assert isinstance(model(max_tokens=5).bind_tools([click]).invoke([*QUESTIONS, answer, result]), AIMessage)


def test_a_streamed_tool_call():
    pieces = list(model(temperature=1, seed=2).bind_tools([click], tool_choice="any", parallel_tool_calls=False, strict=True).stream(QUESTIONS))
    whole = sum(pieces[1:], pieces[0])
    [call] = whole.tool_calls
    assert len(pieces) > 2 and call["name"] == "click" and set(call["args"]) == {"x", "y"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_a_structured_answer(method):
    structured = model(temperature=1, seed=3).with_structured_output(Point, method=method, strict=True, include_raw=True)
    answer = structured.invoke(QUESTIONS)
    assert answer["parsing_error"] is None and isinstance(answer["parsed"], Point)
