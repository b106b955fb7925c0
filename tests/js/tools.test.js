// Tools and forms through the official JS SDK: its accumulators throw at every field that is missing or said twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.VLGATE_URL, apiKey: "any", maxRetries: 0 });
const model = "gpt-4o";
const messages = [{ role: "user", content: "Where is it?" }];
const parameters = {
  type: "object", additionalProperties: false, required: ["x"],
  properties: { x: { type: "integer", minimum: 0, maximum: 1000 } },
};

test("streamed calls are put together", async () => {
  const stream = client.chat.completions.stream({
    model, messages, temperature: 1, parallel_tool_calls: false, tool_choice: "required",
    tools: [{ type: "function", function: { name: "point", strict: true, parameters } }],
  });
  const { choices: [choice] } = await stream.finalChatCompletion();
  const [call] = choice.message.tool_calls;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(call.function.name, "point");
  assert.ok(JSON.parse(call.function.arguments).x <= 1000);
});

test("tools are run and their results fed back", async () => {
  const asked = [];
  const runner = client.chat.completions.runTools({
    model, messages, max_tokens: 300, temperature: 1, tool_choice: { type: "function", function: { name: "point" } },
    tools: [{ type: "function", function: { name: "point", strict: true, parameters, parse: JSON.parse, function: ({ x }) => { asked.push(x); return "seen"; } } }],
  });
  await runner.done();
  assert.ok(asked.length >= 1 && asked.every((x) => x >= 0 && x <= 1000));
});

test("a streamed answer is of its schema", async () => {
  const stream = client.chat.completions.stream({
    model, messages, temperature: 2, seed: 1,
    response_format: { type: "json_schema", json_schema: { name: "point", strict: true, schema: parameters } },
  });
  const { choices: [choice] } = await stream.finalChatCompletion();
  assert.ok(JSON.parse(choice.message.content).x <= 1000);
});
