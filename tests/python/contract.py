"""Holds every answer that any Python client gets from vlgate to OpenAI's own specification (tests/openai/schemas.json).

`install()` puts a check below httpx, where all clients of these tests send their requests: the body of every answer, every
event of every stream and every error is validated as it passes. What does not fit is collected in `mistakes`, and fails
the test in which it came (conftest.py).

Unions are read as OpenAI means them: `oneOf` means any of (their alternatives overlap), and where alternatives differ in
their `type`, that one is held to which the answer's `type` belongs, so that a mistake is named where it is.
"""

import functools, json, pathlib, re

import jsonschema
from jsonschema.exceptions import best_match

SCHEMAS = pathlib.Path(__file__).resolve().parents[1] / "openai/schemas.json"
mistakes = []
checked = {}  # how many answers of each kind were validated: "POST /responses 200 text/event-stream" -> 12


class Specification:
    """OpenAI's answers, by operation and content type."""

    def __init__(self, document):
        self.schemas = document["components"]["schemas"]
        self.answers = document["answers"]
        self.components = {"schemas": {n: self.sorted(s) for n, s in self.schemas.items()}}
        paths = {key.split(" ")[1] for key in self.answers if " " in key}
        # A path without parameters goes before one with.
        self.paths = [(re.compile(re.sub(r"\{\w+\}", "(?:[^/]|%2F)+" if p != "/models/{model}" else ".+", p) + "/?"), p)
                      for p in sorted(paths, key=lambda p: p.count("{"))]

    def path(self, path):
        return next((p for pattern, p in self.paths if pattern.fullmatch(path)), None)

    def target(self, schema):
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def tag(self, schema):
        """The one `type` that an alternative has."""
        schema = self.target(schema)
        values = self.target(schema.get("properties", {}).get("type", {})).get("enum", [])
        if len(values) == 1 and isinstance(values[0], str) and "object" == schema.get("type", "object"):
            return values[0]
        return next(filter(None, map(self.tag, schema.get("allOf", []))), None)

    def alternatives(self, options):
        for option in options:
            inner = self.target(option)
            nested = inner.get("oneOf") or inner.get("anyOf")
            if nested and not inner.get("properties"):
                yield from self.alternatives(nested)
            else:
                yield option

    def sorted(self, schema):
        if isinstance(schema, list):
            return [self.sorted(s) for s in schema]
        if not isinstance(schema, dict):
            return schema
        options = schema.get("oneOf") or schema.get("anyOf")
        rest = {k: self.sorted(v) for k, v in schema.items() if k not in ("oneOf", "anyOf", "discriminator")}
        if not isinstance(options, list):
            return rest
        options = list(self.alternatives(options))
        tags = [self.tag(o) for o in options]
        null = [o for o in options if self.target(o).get("type") == "null"]
        if len(set(filter(None, tags))) < 2 or None in (t for t, o in zip(tags, options) if o not in null):
            return rest | {"anyOf": [self.sorted(o) for o in options]}
        known = sorted(set(filter(None, tags)))
        branches = [{"if": {"properties": {"type": {"const": t}}},
                     "then": {"anyOf": [self.sorted(o) for o, own in zip(options, tags) if own == t]}} for t in known]
        tagged = {"type": "object", "required": ["type"], "properties": {"type": {"enum": known}}, "allOf": branches}
        return rest | ({"anyOf": [tagged, {"type": "null"}]} if null else tagged)

    @functools.cache
    def validator(self, operation, kind):
        schema = self.answers.get(operation, {}).get(kind)
        return schema and jsonschema.Draft202012Validator({"components": self.components, **self.sorted(schema)})


@functools.cache
def specification():
    return Specification(json.loads(SCHEMAS.read_text()))


def mistake_in(operation, kind, body):
    """What is wrong with an answer, or None."""
    if (operation, kind) == ("POST /completions", "text/event-stream"):
        # The specification's schema is made for whole answers. Of `stream_options.include_usage` its words say that all other
        # chunks have a null in `usage`, and a choice that goes on has no `finish_reason` yet.
        choices = [c | {"finish_reason": c["finish_reason"] or "stop"} for c in body.get("choices", [])]
        body = {k: v for k, v in body.items() if k != "usage" or v} | {"choices": choices}
    validator = specification().validator(operation, kind)
    error = best_match(validator.iter_errors(body)) if validator else None
    return error and f"{error.json_path}: {error.message[:300]}"


class Answer:
    """One answer as it arrives."""

    def __init__(self, method, path, status, headers):
        path = specification().path(path.removeprefix("/v1"))
        self.operation = f"{method} {path}" if status < 400 else "error"
        self.label = f"{method} {path} {status}"
        self.kind = headers.get("content-type", "").split(";")[0]
        self.known = path is not None and self.kind in ("application/json", "text/event-stream")
        self.stream = self.kind == "text/event-stream"
        self.rest = b""

    def feed(self, data):
        self.rest += data
        while self.stream and b"\n\n" in self.rest:
            event, self.rest = self.rest.split(b"\n\n", 1)
            self.event(event.decode())

    def end(self):
        if self.known and not self.stream:
            self.check(self.rest)

    def event(self, text):
        fields = dict(line.split(": ", 1) for line in text.split("\n") if line and not line.startswith(":"))
        data = fields.get("data")
        if not self.known or data in (None, "[DONE]"):
            return
        body = json.loads(data)
        if "event" in fields and fields["event"] != body.get("type"):
            mistakes.append(f"{self.label}: the event {fields['event']} has the type {body.get('type')}")
        if isinstance(body, dict) and set(body) == {"error"}:
            # A stream that breaks ends with an error in place of a chunk.
            self.check(data, "error", "application/json")
        else:
            self.check(data)

    def check(self, data, operation=None, kind=None):
        operation, kind = operation or self.operation, kind or self.kind
        if not specification().validator(operation, kind):
            return
        key = f"{self.label} {kind}"
        checked[key] = checked.get(key, 0) + 1
        try:
            wrong = mistake_in(operation, kind, json.loads(data))
        except ValueError:
            wrong = "not JSON"
        if wrong:
            mistakes.append(f"{self.label}: {wrong} in {data[:600]!r}")


def tee(stream, answer):
    """The stream, with the answer fed from it."""
    base = type(stream)

    class Tee(*[b for b in base.__mro__ if b.__name__ in ("SyncByteStream", "AsyncByteStream")]):
        def __iter__(self):
            for chunk in stream:
                answer.feed(chunk)
                yield chunk
            answer.end()

        async def __aiter__(self):
            async for chunk in stream:
                answer.feed(chunk)
                yield chunk
            answer.end()

        def close(self):
            stream.close()

        async def aclose(self):
            await stream.aclose()

    return Tee()


def wrap(httpx):
    """Checks what passes a library's transports."""
    def answered(request, response):
        # Only vlgate says this, and what it compresses it does not send.
        if "openai-processing-ms" in response.headers:
            path = request.url.raw_path.decode().split("?")[0]
            answer = Answer(request.method, path, response.status_code, response.headers)
            response.stream = tee(response.stream, answer)
        return response

    send, send_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def handle_request(self, request):
        return answered(request, send(self, request))

    async def handle_async_request(self, request):
        return answered(request, await send_async(self, request))

    httpx.HTTPTransport.handle_request = handle_request
    httpx.AsyncHTTPTransport.handle_async_request = handle_async_request


@functools.cache
def install():
    """For every httpx that is there: the SDKs of OpenAI and Anthropic use the second, others the first."""
    for name in ("httpx2", "httpx"):
        try:
            wrap(__import__(name))
        except ImportError:
            pass
