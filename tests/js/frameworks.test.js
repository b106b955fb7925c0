// The Vercel AI SDK, as its users write it: an image question, a stream, a tool call, a structured answer; through its
// provider for compatible servers and through the one for OpenAI itself, with a base URL.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const baseURL = process.env.VLGATE_URL;
const image = readFileSync(process.env.VLGATE_PICTURE);
const compatible = createOpenAICompatible({ name: "vlgate", baseURL, apiKey: "any", includeUsage: true, supportsStructuredOutputs: true });
const models = { compatible: compatible("gpt-4o"), openai: createOpenAI({ baseURL, apiKey: "any" }).chat("gpt-4o") };
const question = [{ role: "user", content: [{ type: "text", text: "What is this?" }, { type: "image", image, mediaType: "image/png" }] }];
const point = z.object({ x: z.number().int().min(0).max(1000), y: z.number().int().min(0).max(1000) });

for (const [name, model] of Object.entries(models)) {
  const ask = { model, messages: question, maxRetries: 0 };

  test(`${name}: a question about a picture`, async () => {
    const { text, usage, finishReason } = await generateText(ask);
    assert.match(text, /red circle/);
    assert.equal(finishReason, "stop");
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  });

  test(`${name}: a stream`, async () => {
    const stream = streamText({ ...ask, onError: ({ error }) => { throw error; } });
    let text = "", pieces = 0;
    for await (const piece of stream.textStream) text += piece, pieces++;
    assert.match(text, /red circle/);
    assert.ok(pieces > 1 && (await stream.usage).outputTokens > 0);
    assert.equal(await stream.finishReason, "stop");
  });

  test(`${name}: a tool is called and its result fed back`, async () => {
    const called = [];
    const click = tool({ description: "Clicks", inputSchema: point, execute: async (at) => (called.push(at), "clicked") });
    const { steps } = await generateText({
      ...ask, tools: { click }, toolChoice: { type: "tool", toolName: "click" }, temperature: 1, seed: 1, stopWhen: stepCountIs(2),
    });
    assert.ok(called.length >= 1 && called.every((at) => point.safeParse(at).success), JSON.stringify(called));
    assert.equal(steps.length, 2);
    assert.equal(steps[0].finishReason, "tool-calls");
  });

  test(`${name}: a streamed tool call`, async () => {
    const stream = streamText({ ...ask, tools: { click: tool({ inputSchema: point }) }, toolChoice: "required", temperature: 1, seed: 2 });
    const [call] = await stream.toolCalls;
    assert.equal(call.toolName, "click");
    assert.ok(point.safeParse(call.input).success);
  });

  test(`${name}: an answer of a schema, whole and streamed`, async () => {
    const output = Output.object({ schema: point });
    const whole = await generateText({ ...ask, output, temperature: 1, seed: 3 });
    assert.ok(point.safeParse(whole.output).success);
    const stream = streamText({ ...ask, output, temperature: 1, seed: 3 });
    let last;
    for await (const part of stream.partialOutputStream) last = part;
    assert.deepEqual(last, whole.output);
  });
}

test("an error keeps its status and words", async () => {
  const broken = [{ role: "user", content: [{ type: "image", image: Buffer.from("not a picture"), mediaType: "image/png" }] }];
  await assert.rejects(generateText({ model: models.compatible, messages: broken, maxRetries: 0 }), (e) => e.statusCode === 400 && /unsupported image/.test(e.message));
});
