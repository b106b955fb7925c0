"""The check below all clients finds what is wrong, and does not find what is right."""

import copy, json

import contract
import httpx2 as httpx
import pytest

RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "error": None, "incomplete_details": None,
    "instructions": None, "model": "m", "tools": [], "parallel_tool_calls": True, "metadata": {}, "tool_choice": "auto",
    "temperature": 1, "top_p": 1,
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "t", "annotations": [], "logprobs": []}]}],
}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}


@pytest.mark.parametrize("path, value, where", [
    (["id"], None, "$.id"), (["object"], "answer", "$.object"), (["status"], "done", "$.status"),
    (["output", 0, "role"], "user", "$.output[0].role"),
    (["output", 0, "content", 0, "annotations"], None, "$.output[0].content[0].annotations"),
    (["output", 0, "content", 0, "type"], "text", "$.output[0].content[0].type"),
    (["output", 0, "type"], "text", "$.output[0].type"), (["tool_choice"], "maybe", "$.tool_choice"),
    (["usage"], {"input_tokens": 1}, "$.usage"),
])
def test_a_wrong_response_is_named_at_its_place(path, value, where):
    assert contract.mistake_in("POST /responses", "application/json", RESPONSE) is None
    wrong = copy.deepcopy(RESPONSE)
    inner = wrong
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert contract.mistake_in("POST /responses", "application/json", wrong).startswith(where)
    if path[-1] not in ("status", "usage"):
        del inner[path[-1]]
        assert contract.mistake_in("POST /responses", "application/json", wrong)


def served(kind, body, status=200):
    """What the check says of an answer that comes in pieces."""
    answer = contract.Answer("POST", "/v1/chat/completions", status, {"content-type": kind})
    before = len(contract.mistakes)
    for i in range(0, len(body), 7):
        answer.feed(body[i:i + 7].encode())
    answer.end()
    found = contract.mistakes[before:]
    del contract.mistakes[before:]
    return found


def test_streams_and_errors_are_checked_too():
    stream = "".join(f"data: {json.dumps(c)}\n\n" for c in [CHUNK, CHUNK | {"choices": []}])
    assert served("text/event-stream", ": ping\n\n" + stream + "data: [DONE]\n\n") == []
    assert served("text/event-stream", stream + 'data: {"error": {"message": "m", "type": "t", "param": null, "code": null}}\n\n') == []
    assert len(served("text/event-stream", stream.replace('"index"', '"place"') + "data: [DONE]\n\n")) == 1
    error = {"error": {"message": "m", "type": "t", "param": None, "code": None}}
    assert served("application/json", json.dumps(error), 400) == []
    del error["error"]["param"]
    assert len(served("application/json", json.dumps(error), 400)) == 1
    assert len(served("application/json", "{}")) == 1


def test_what_clients_get_is_checked(gateway):
    before = dict(contract.checked)
    httpx.get(gateway.url + "/models")
    httpx.post(gateway.url + "/chat/completions", json={})
    assert contract.checked["GET /models 200 application/json"] == before.get("GET /models 200 application/json", 0) + 1
    assert contract.checked["POST /chat/completions 400 application/json"] > before.get("POST /chat/completions 400 application/json", 0)
