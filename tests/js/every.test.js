// Every parameter that the JS SDK documents for chat.completions.create, and every helper that it has on top. The SDK's own
// tests are not published (tests/sdk-suites/python-cannot-pass.txt says where was looked); these make the same calls.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ baseURL: process.env.VLGATE_URL, apiKey: "any", maxRetries: 0 });
const model = "gpt-4o";
const red = "data:image/png;base64," + readFileSync(process.env.VLGATE_PICTURE).toString("base64");
const messages = [{ role: "user", content: [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: red, detail: "auto" } }] }];
const parameters = {
  type: "object", additionalProperties: false, required: ["x"],
  properties: { x: { type: "integer", minimum: 0, maximum: 1000 } },
};
const tools = [{ type: "function", function: { name: "point", description: "Points.", strict: true, parameters } }];
const Point = z.object({ x: z.number().int().min(0).max(1000) });

// One by one, so that a refusal names its parameter.
const accepted = {
  frequency_penalty: [-2, 0, 2, null],
  logit_bias: [{ 50: -100 }, {}, null],
  logprobs: [true, false, null],
  max_completion_tokens: [3, null],
  max_tokens: [3, null],
  metadata: [{ foo: "string" }, null],
  modalities: [["text"], null],
  n: [1, 2, null],
  parallel_tool_calls: [true, false],
  prediction: [{ type: "content", content: "string" }, { type: "content", content: [{ type: "text", text: "t" }] }, null],
  presence_penalty: [-2, 0, 2, null],
  prompt_cache_key: ["prompt-cache-key-1234", null],
  prompt_cache_options: [{ mode: "implicit" }],
  prompt_cache_retention: ["in_memory", "24h", null],
  reasoning_effort: ["none", "minimal", "low", "medium", "high", null],
  response_format: [{ type: "text" }],
  safety_identifier: ["safety-identifier-1234", null],
  seed: [-9007199254740991, 7, null],
  service_tier: ["auto", "default", "flex", "scale", "priority", null],
  stop: ["\n", ["a", "b", "c", "d"], null],
  store: [true, false, null],
  stream: [false, null],
  stream_options: [null],
  temperature: [0, 1, 2, null],
  top_p: [0.1, 1, null],
  user: ["user-1234"],
  verbosity: ["low", "medium", "high", null],
  audio: [null],
  moderation: [null],
};

for (const [name, values] of Object.entries(accepted)) {
  test(`${name} is accepted in every form`, async () => {
    for (const value of values) {
      const limit = name.startsWith("max_") ? {} : { max_completion_tokens: 4 };
      const { choices } = await client.chat.completions.create({ model, messages, ...limit, [name]: value });
      assert.equal(choices.length, name === "n" ? value ?? 1 : 1, JSON.stringify(value));
    }
  });
}

// What cannot be done is refused, and the parameter named.
const refused = {
  audio: { format: "wav", voice: "alloy" },
  modalities: ["audio"],
  moderation: { model: "model" },
  web_search_options: { search_context_size: "low" },
  max_tokens: 0,
  logit_bias: { foo: 0 },
  n: 0,
  temperature: 2.1,
  top_p: -0.1,
  top_logprobs: 21,
  stream_options: { include_usage: true },
  stop: ["a", "b", "c", "d", "e"],
  user: "u".repeat(65),
  verbosity: "loud",
};

for (const [name, value] of Object.entries(refused)) {
  test(`${name}: ${JSON.stringify(value).slice(0, 40)} is refused by name`, async () => {
    const extra = name === "top_logprobs" ? { logprobs: true } : {};
    await assert.rejects(client.chat.completions.create({ model, messages, ...extra, [name]: value }), (e) => e instanceof OpenAI.BadRequestError && e.param === name);
  });
}

test("the response itself, and its id", async () => {
  const asked = client.chat.completions.create({ model, messages, max_tokens: 3 });
  const raw = await asked.asResponse();
  assert.ok(raw instanceof Response && raw.headers.get("x-request-id"));
  const { data, response, request_id } = await client.chat.completions.create({ model, messages, max_tokens: 3 }).withResponse();
  assert.equal(response.headers.get("x-request-id"), request_id);
  assert.equal(data._request_id, request_id);
});

test("log-probabilities, with alternatives", async () => {
  const { choices: [choice] } = await client.chat.completions.create({ model, messages, max_tokens: 3, logprobs: true, top_logprobs: 2 });
  assert.ok(choice.logprobs.content.length >= 1 && choice.logprobs.content.every((t) => t.top_logprobs.length === 2 && t.logprob <= 0));
});

for (const tool_choice of ["required", { type: "function", function: { name: "point" } }, { type: "allowed_tools", allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "point" } }] } }]) {
  test(`tool_choice ${JSON.stringify(tool_choice)}`, async () => {
    const { choices: [{ message }] } = await client.chat.completions.create({ model, messages, tools, tool_choice, parallel_tool_calls: false, temperature: 1 });
    assert.ok(Point.safeParse(JSON.parse(message.tool_calls[0].function.arguments)).success);
  });
}

test("tool_choice none calls nothing; the old form calls", async () => {
  const { choices: [quiet] } = await client.chat.completions.create({ model, messages, tools, tool_choice: "none" });
  assert.equal(quiet.message.tool_calls, undefined);
  const { choices: [old] } = await client.chat.completions.create({ model, messages, functions: [tools[0].function], function_call: { name: "point" } });
  assert.equal(old.message.function_call.name, "point");
});

test("parse: a schema of zod, and a tool of zod", async () => {
  const answer = await client.chat.completions.parse({ model, messages, temperature: 1, response_format: zodResponseFormat(Point, "point") });
  assert.ok(Point.safeParse(answer.choices[0].message.parsed).success);
  const tool = zodFunction({ name: "point", parameters: Point });
  const called = await client.chat.completions.parse({ model, messages, temperature: 1, tools: [tool], tool_choice: "required", parallel_tool_calls: false });
  assert.ok(Point.safeParse(called.choices[0].message.tool_calls[0].function.parsed_arguments).success);
});

test("the stream helper says everything once, in order", async () => {
  const seen = [];
  const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
  for (const name of ["connect", "chunk", "content", "message", "finalContent", "finalMessage", "finalChatCompletion", "totalUsage", "end"]) stream.on(name, () => seen.push(name));
  await stream.done();
  const once = seen.filter((name) => name !== "chunk" && name !== "content");
  assert.deepEqual(once.slice().sort(), ["connect", "end", "finalChatCompletion", "finalContent", "finalMessage", "message", "totalUsage"].sort());
  assert.equal(seen[0], "connect");
  assert.equal(seen.at(-1), "end");
  const usage = await stream.totalUsage();
  assert.ok(usage.completion_tokens > 0);
  assert.match(await stream.finalContent(), /red circle/);
});

test("a stream of parsed content", async () => {
  const stream = client.chat.completions.stream({ model, messages, temperature: 1, response_format: zodResponseFormat(Point, "point") });
  const done = [];
  stream.on("content.done", ({ parsed }) => done.push(parsed));
  await stream.done();
  assert.ok(done.length === 1 && Point.safeParse(done[0]).success, JSON.stringify(done));
});

test("a stream in two, and one that goes on over the wire", async () => {
  const [left, right] = (await client.chat.completions.create({ model, messages, stream: true })).tee();
  const read = async (stream) => { let text = ""; for await (const c of stream) text += c.choices[0]?.delta.content ?? ""; return text; };
  assert.equal(await read(left), await read(right));
  const wire = (await client.chat.completions.create({ model, messages, stream: true })).toReadableStream();
  const runner = (await import("openai/lib/ChatCompletionStream")).ChatCompletionStream.fromReadableStream(wire);
  assert.match(await runner.finalContent(), /red circle/);
});

test("models: list, pages, retrieve", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(model)).object, "model");
});
