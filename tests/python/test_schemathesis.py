"""Requests made from our own /openapi.json, as it says and as it does not: no 5xx, and no answer that it does not describe."""

import json
from collections import Counter

import pytest
import schemathesis
from conftest import ROOT, Gateway
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

def described_body(context, response, case):
    """Events of a stream are held to their schemas by contract.py; schemathesis reads the lines around them, too."""
    if "text/event-stream" not in str(response.headers.get("content-type")):
        return response_schema_conformance(context, response, case)


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, described_body]
# The same requests in every run: what a change broke is found where it was made.
BOUNDED = settings(max_examples=25, derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate],
                   suppress_health_check=list(HealthCheck))


DOCUMENT = json.loads((ROOT / "openapi/openapi.json").read_text())
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]
# Ids that are made up lead to a 404 (a batch's file to a 400), whatever else is right.
NEEDS_AN_OBJECT = {path for path, _ in OPERATIONS if "{" in path} | {"/v1/batches"}
# What the specification lets a client say, and this server refuses: half of the requests go without.
REFUSED = ("audio", "moderation", "web_search_options")
PLAIN = {"model", "instructions", "max_output_tokens", "metadata", "store", "stream", "temperature", "top_p", "user"}


def reach(path, body):
    """Lets half of the requests get as far as an answer."""
    if isinstance(body.get("model"), str):
        body["model"] = "gpt-4o"
    if len(body) % 2 and "/responses" in path:  # there, ids of tools, files, and responses may be anywhere
        for name in set(body) - PLAIN:
            del body[name]
        body |= {"model": "gpt-4o", "input": "Hello"}
    elif len(body) % 2 and "/messages" in path:
        body.clear()
        body |= {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        if not path.endswith("count_tokens"):
            body["max_tokens"] = 5
    elif len(body) % 2:
        for name in REFUSED:
            body.pop(name, None)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    # A short context bounds what an answer may take.
    g = Gateway(tmp_path_factory.mktemp("schemathesis") / "log", "--context", "512")
    base = g.url.removesuffix("/v1")
    schema = schemathesis.openapi.from_url(base + "/openapi.json")
    assert schema.raw_schema == DOCUMENT
    yield schema, base
    assert g.stop() == 0, "what all these requests left behind"


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda m: m.value)
@pytest.mark.parametrize("path,method", OPERATIONS, ids=lambda p: p)
def test_every_answer_is_described(described, path, method, mode):
    schema, base = described
    operation = schema[path][method]
    statuses = Counter()

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def hold(case):
        if isinstance(case.body, dict) and mode is GenerationMode.POSITIVE:
            reach(path, case.body)
        statuses[case.call_and_validate(base_url=base, checks=CHECKS, timeout=60).status_code] += 1

    try:
        hold()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "nothing can be wrong with this request"
    print(method, path, mode.value, dict(statuses))
    if mode is GenerationMode.POSITIVE and path not in NEEDS_AN_OBJECT:
        assert any(status < 300 for status in statuses), statuses
