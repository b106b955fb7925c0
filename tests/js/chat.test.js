// The main job through the official JS SDK, with nothing changed but the base URL.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.VLGATE_URL, apiKey: "any", maxRetries: 0 });
const model = "gpt-4-vision-preview";
const red = "data:image/png;base64," + readFileSync(process.env.VLGATE_PICTURE).toString("base64");
const ask = (text, ...urls) => [
  { role: "user", content: [...urls.map((url) => ({ type: "image_url", image_url: { url } })), { type: "text", text }] },
];
const isSensible = (text) => assert.match(text, /red circle/);

test("a picture by data URL", async () => {
  const answer = await client.chat.completions.create({ model, messages: ask("What is this?", red) });
  isSensible(answer.choices[0].message.content);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a picture by http URL", async () => {
  const answer = await client.chat.completions.create({ model, messages: ask("What is this?", process.env.VLGATE_PICTURE_URL) });
  isSensible(answer.choices[0].message.content);
});

test("a stream, by hand and through the SDK's accumulating helper", async () => {
  const stream = await client.chat.completions.create({ model, messages: ask("What is this?", red), stream: true, stream_options: { include_usage: true } });
  let text = "", usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  isSensible(text);
  assert.ok(usage.completion_tokens > 0);
  const final = await client.chat.completions.stream({ model, messages: ask("What is this?", red) }).finalChatCompletion();
  assert.equal(final.choices[0].message.content, text);
});

test("two pictures and a system prompt", async () => {
  const messages = [{ role: "system", content: "You are a helpful assistant." }, ...ask("What is in the pictures?", red, red)];
  const answer = await client.chat.completions.create({ model, messages });
  assert.ok(answer.choices[0].message.content);
});

test("errors have the SDK's classes", async () => {
  await assert.rejects(client.chat.completions.create({ model: "nope", messages: ask("hi") }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model, messages: ask("hi", "data:image/png;base64,AAAA") }), (e) => {
    assert.ok(e instanceof OpenAI.BadRequestError);
    assert.match(e.param, /^messages\[0\]\.content\[0\]\.image_url/);
    return true;
  });
});

test("an aborted stream leaves the server well", async () => {
  const stream = await client.chat.completions.create({ model, messages: ask("What is this?", red), stream: true });
  for await (const _ of stream) break;
  isSensible((await client.chat.completions.create({ model, messages: ask("What is this?", red) })).choices[0].message.content);
});
