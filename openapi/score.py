#!/usr/bin/env python3
"""Scores openapi.json against OpenAI's own specification, for chat completions, models, completions, files and batches.

    python3 openapi/score.py PATH/TO/openai/openapi.yaml [--min 99]

Every field of OpenAI's requests and answers gives up to five points: it is there, it is required (or not), it may be null
(or not), its types, its enumeration; alternatives of a union are matched by their `type` or `role`. What we have beyond
OpenAI (vLLM's extensions) costs nothing and is listed with --extensions. Needs PyYAML.
"""

import argparse
import json
import pathlib

import yaml

OPERATIONS = [
    ("post", "/chat/completions"), ("get", "/models"), ("get", "/models/{model}"), ("post", "/completions"),
    ("get", "/files"), ("post", "/files"), ("get", "/files/{file_id}"), ("delete", "/files/{file_id}"),
    ("post", "/batches"), ("get", "/batches"), ("get", "/batches/{batch_id}"), ("post", "/batches/{batch_id}/cancel"),
]


class Spec:
    def __init__(self, document):
        self.document = document

    def resolve(self, schema):
        while "$ref" in schema:
            target = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
        return schema

    def options(self, schema, depth=0):
        """Whether a schema may be null, and its alternatives without unions, references or null."""
        schema = self.resolve(schema or {})
        null = bool(schema.get("nullable"))
        if "allOf" in schema:
            merged = {"type": "object", "properties": {}, "required": []}
            for part in schema["allOf"]:
                part_null, parts = self.options(part, depth)
                null = null or part_null
                for one in parts:
                    if one.get("type", "object") != "object":
                        return null, parts
                    merged["properties"] |= one.get("properties", {})
                    merged["required"] += one.get("required", [])
            return null, [merged]
        for key in ("oneOf", "anyOf"):
            if key in schema:
                found = [self.options(s, depth) for s in schema[key]]
                return null or any(f[0] for f in found), join([a for f in found for a in f[1]])
        types = schema.get("type", "object" if "properties" in schema else None)
        types = types if isinstance(types, list) else [types]
        return null or "null" in types, [schema | {"type": t} for t in types if t != "null"]


def join(alternatives):
    """Strings are one alternative: a free one takes all, enumerations are put together."""
    strings = [a for a in alternatives if a.get("type") == "string"]
    rest = [a for a in alternatives if a.get("type") != "string"]
    if not strings:
        return rest
    free = any("enum" not in s for s in strings)
    return rest + [{"type": "string"} if free else {"type": "string", "enum": [v for s in strings for v in s["enum"]]}]


def tag(spec, alternative):
    """What tells an object's alternative from others: the fields with one possible value, and its kind."""
    tags = []
    for name, field in sorted((alternative.get("properties") or {}).items()):
        _, options = spec.options(field)
        if name in ("type", "role") and len(options) == 1 and len(options[0].get("enum", [])) == 1:
            tags.append((name, options[0]["enum"][0]))
    return alternative.get("type"), tuple(tags)


class Score:
    def __init__(self, theirs, ours):
        self.theirs, self.ours = Spec(theirs), Spec(ours)
        self.good, self.all = 0, 0
        self.differences, self.extensions = [], []

    def point(self, fits, where, what):
        self.all += 1
        self.good += bool(fits)
        if not fits:
            self.differences.append(f"{where}: {what}")

    def field(self, theirs, ours, where, seen=()):
        their_null, their_options = self.theirs.options(theirs)
        our_null, our_options = self.ours.options(ours)
        self.point(their_null == our_null, where, f"nullable is {our_null}, OpenAI's {their_null}")
        self.alternatives(their_options, our_options, where, seen)

    def alternatives(self, theirs, ours, where, seen):
        kinds = [sorted({str(o.get("type")) for o in side}) for side in (theirs, ours)]
        self.point(kinds[0] == kinds[1], where, f"types are {kinds[1]}, OpenAI's {kinds[0]}")
        for one in theirs:
            same = [o for o in ours if o.get("type") == one.get("type")]
            if len([o for o in theirs if o.get("type") == one.get("type")]) > 1:
                same = [o for o in same if tag(self.ours, o) == tag(self.theirs, one)]
                label = f"{where}<{','.join(v for _, v in tag(self.theirs, one)[1])}>"
                self.point(same, label, "this alternative is missing")
            else:
                label = where
            if same:
                self.one(one, same[0], label, seen)

    def one(self, theirs, ours, where, seen):
        if "enum" in theirs or "enum" in ours:
            a, b = set(theirs.get("enum", [])), set(ours.get("enum", []))
            self.point(a == b, where, f"enumeration lacks {sorted(a - b)}, has besides {sorted(b - a)}")
        if theirs.get("type") == "array":
            self.field(theirs.get("items"), ours.get("items"), f"{where}[]", seen)
        key = json.dumps(theirs, sort_keys=True, default=str)
        if key in seen:
            return
        seen = (*seen, key)
        ours_fields = ours.get("properties") or {}
        for name, field in (theirs.get("properties") or {}).items():
            here = f"{where}.{name}"
            self.point(name in ours_fields, here, "missing")
            if name not in ours_fields:
                continue
            required = [name in (side.get("required") or []) for side in (theirs, ours)]
            self.point(required[0] == required[1], here, f"required is {required[1]}, OpenAI's {required[0]}")
            self.field(field, ours_fields[name], here, seen)
        if theirs.get("properties"):
            self.extensions += [f"{where}.{n}" for n in ours_fields if n not in theirs["properties"]]


def contents(operation, spec):
    """The schemas of an operation with their names: its request, and its answers with status 200."""
    if "requestBody" in operation:
        kinds = spec.resolve(operation["requestBody"])["content"]
        yield "request", (kinds.get("application/json") or kinds["multipart/form-data"])["schema"]
    for kind, content in spec.resolve(operation["responses"]["200"])["content"].items():
        yield f"200 {kind}", content["schema"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("openai")
    parser.add_argument("--ours", default=pathlib.Path(__file__).with_name("openapi.json"))
    parser.add_argument("--min", type=float, default=0, help="fail below this percentage")
    parser.add_argument("--extensions", action="store_true", help="list what we have beyond OpenAI")
    options = parser.parse_args()
    with open(options.openai, encoding="utf-8") as file:
        theirs = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    with open(options.ours, encoding="utf-8") as file:
        ours = json.load(file)
    good = total = 0
    for verb, path in OPERATIONS:
        score = Score(theirs, ours)
        mine = dict(contents(ours["paths"]["/v1" + path][verb], score.ours))
        for name, schema in contents(theirs["paths"][path][verb], score.theirs):
            score.point(name in mine, name, "missing")
            if name in mine:
                score.field(schema, mine[name], name)
        print(f"{verb.upper()} {path}: {score.good} of {score.all}")
        for difference in score.differences:
            print(f"    {difference}")
        for extension in score.extensions if options.extensions else []:
            print(f"  + {extension}")
        good, total = good + score.good, total + score.all
    percent = 100 * good / total
    print(f"{percent:.2f} % ({good} of {total})")
    raise SystemExit(percent < options.min)


if __name__ == "__main__":
    main()
