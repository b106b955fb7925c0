"""A pytest plugin that lets openai-python's own suite run against a real server.

The suite was written for a mock that answers every id. Here the ids are real: where a request names a placeholder of the
suite (`file_id`, `batch_id`, ...), an object is made for it first and the request names that. Nothing else is touched.

Cases that cannot pass are listed with their reasons in python-cannot-pass.txt; a case listed there must fail, with the
exception that its reason names, and one that passes, or is not there any more, fails the run.
"""

import io, json, os, pathlib, re

import openai
import pytest
from openai._base_client import BaseClient

LIST = pathlib.Path(__file__).with_name("python-cannot-pass.txt")
HELLO = [{"role": "user", "content": "Hello"}]
LONG = {"max_output_tokens": 4000, "extra_body": {"ignore_eos": True}}


def read(text):
    """`[Exception] reason` opens a paragraph; the lines behind it are cases: {case: (exception, reason)}."""
    cases, heading = {}, None
    for line in text.splitlines():
        if opened := re.fullmatch(r"\[(\w+)\] (.+)", line):
            heading = opened.groups()
        elif line and not line.startswith("#"):
            assert heading and line not in cases, f"no reason, or twice: {line}"
            cases[line] = heading
    return cases


def pytest_collection_modifyitems(items):
    listed = read(LIST.read_text())
    found = set()
    for item in items:
        case = item.nodeid.split("[")[0].removeprefix("tests/api_resources/")
        if case in listed:
            exception, reason = listed[case]
            kind = getattr(openai, exception, None) or getattr(pytest, exception, None) or {"AssertionError": AssertionError}[exception]
            item.add_marker(pytest.mark.xfail(raises=kind, reason=reason, strict=True))
            found.add(case)
    files = {item.nodeid.split("::")[0].removeprefix("tests/api_resources/") for item in items}
    gone = [case for case in set(listed) - found if case.split("::")[0] in files]
    if gone:
        raise pytest.UsageError(f"{LIST.name} lists cases that the suite does not have: {sorted(gone)}")


class Objects:
    """Makes what a placeholder stands for."""

    def __init__(self, client):
        self.client = client

    def batch_input(self, path="/v1/chat/completions", lines=1):
        body = {"model": "gpt-6-astra", "messages": HELLO} if "chat" in path else {"model": "gpt-6-astra", "input": "Hello"}
        rows = [json.dumps({"custom_id": str(i), "method": "POST", "url": path, "body": body}) for i in range(lines)]
        return self.client.files.create(file=("in.jsonl", io.BytesIO("\n".join(rows).encode())), purpose="batch").id

    def file(self):
        return self.client.files.create(file=("a.txt", b"Example data"), purpose="user_data").id

    def batch(self):
        """Long enough to be cancelled."""
        return self.client.batches.create(input_file_id=self.batch_input(lines=200), endpoint="/v1/chat/completions",
                                          completion_window="24h").id

    def response(self):
        return self.client.responses.create(model="gpt-6-astra", input="Hello").id

    def background_response(self):
        return self.client.responses.create(model="gpt-6-astra", input="Hello", background=True, **LONG).id

    def streamed_response(self):
        """One whose events can be asked for afterwards."""
        events = self.client.responses.create(model="gpt-6-astra", input="Hello", background=True, stream=True)
        return [event for event in events if event.type == "response.created"][0].response.id

    def completion(self):
        return self.client.chat.completions.create(model="gpt-6-astra", messages=HELLO, store=True).id


PATHS = [
    (r"/responses/([^/?]+)/cancel", "background_response"),
    (r"/responses/(resp_677efb5139a88190b512bc3fef8e535d|response_id)(?=$|[/?])", "response"),
    (r"/files/(file_id)(?=$|[/?])", "file"),
    (r"/batches/(batch_id)(?=$|[/?])", "batch"),
    (r"/chat/completions/(completion_id)(?=$|[/?])", "completion"),
]


@pytest.fixture(autouse=True)
def real_ids(request, monkeypatch):
    """Puts the id of a real object in every place that a case's request has a placeholder."""
    if "respx2_mock" in request.fixturenames:
        yield  # nothing of it reaches the server
        return
    maker = openai.OpenAI(base_url=os.environ["TEST_API_BASE_URL"], api_key="any", max_retries=0, timeout=60)
    objects, build, busy = Objects(maker), BaseClient._build_request, []

    def real(client, options, **kwargs):
        if client is not maker:
            for pattern, kind in PATHS:
                if at := re.search(pattern, options.url):
                    if kind == "response" and dict(options.params).get("stream"):
                        kind = "streamed_response"
                    options.url = options.url[:at.start(1)] + getattr(objects, kind)() + options.url[at.end(1):]
                    break
            body = options.json_data if isinstance(options.json_data, dict) else {}
            if body.get("input_file_id") == "input_file_id":
                body["input_file_id"] = objects.batch_input(body["endpoint"])
            if body.get("previous_response_id") in ("previous_response_id", "resp_123"):
                body["previous_response_id"] = objects.response()
        return build(client, options, **kwargs)

    monkeypatch.setattr(BaseClient, "_build_request", real)
    yield
    maker.close()
