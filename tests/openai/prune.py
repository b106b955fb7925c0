#!/usr/bin/env python3
"""Cuts OpenAI's specification down to the answers of the operations that vlgate has, as JSON schemas.

    python3 tests/openai/prune.py PATH/TO/openai/openapi.yaml > tests/openai/schemas.json

Descriptions and examples go; what is left is OpenAI's (MIT). Needs PyYAML.
"""

import json
import sys

import yaml

OPERATIONS = {
    "/chat/completions": ["post"],
    "/completions": ["post"],
    "/models": ["get"],
    "/models/{model}": ["get"],
    "/responses": ["post"],
    "/responses/{response_id}": ["get"],
    "/responses/{response_id}/cancel": ["post"],
    "/responses/{response_id}/input_items": ["get"],
    "/responses/input_tokens": ["post"],
    "/files": ["get", "post"],
    "/files/{file_id}": ["get", "delete"],
    "/batches": ["get", "post"],
    "/batches/{batch_id}": ["get"],
    "/batches/{batch_id}/cancel": ["post"],
}
# Streams that the specification does not describe: what they are made of.
STREAMS = {
    "/completions": {"$ref": "#/components/schemas/CreateCompletionResponse"},
    "/responses/{response_id}": {"$ref": "#/components/schemas/ResponseStreamEvent"},
}
DROPPED = {"description", "example", "examples", "title", "summary", "deprecated", "default", "externalDocs"}


def bare(schema, names=False):
    """Without what validates nothing; `names` says that the keys are properties and not keywords."""
    if isinstance(schema, list):
        return [bare(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {k: bare(v, k == "properties" and not names) for k, v in schema.items()
            if names or not (k in DROPPED or k.startswith("x-"))}
    if not names and kept.pop("nullable", False):
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def references(schema):
    if isinstance(schema, list):
        return {r for s in schema for r in references(s)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
    return own | {r for v in schema.values() for r in references(v)}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    answers = {}
    for path, verbs in OPERATIONS.items():
        for verb in verbs:
            content = spec["paths"][path][verb]["responses"]["200"].get("content", {})
            schemas = {kind: bare(body["schema"]) for kind, body in content.items()}
            if path in STREAMS:
                schemas["text/event-stream"] = STREAMS[path]
            answers[f"{verb.upper()} {path}"] = schemas
    answers["error"] = {"application/json": {"$ref": "#/components/schemas/ErrorResponse"}}
    schemas, wanted = {}, references(answers)
    while wanted:
        name = wanted.pop().rsplit("/", 1)[1]
        if name not in schemas:
            schemas[name] = bare(spec["components"]["schemas"][name])
            wanted |= references(schemas[name])
    out = {"from": f"OpenAI's openapi.yaml, version {spec['info']['version']}, licence {spec['info']['license']['name']}",
           "answers": answers, "components": {"schemas": dict(sorted(schemas.items()))}}
    json.dump(out, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
