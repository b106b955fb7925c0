// The page as the real binary serves it, with the demo model behind it. Without a binary of this very page there is nothing to test.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { clip, setUp } from './page.mjs';

const ui = setUp();
const binary = process.env.VLGATE_BIN ?? '';
const page = readFileSync(new URL('../../crates/server/ui/dist/index.html', import.meta.url), 'utf8');
const server = { reason: existsSync(binary) ? undefined : 'VLGATE_BIN names no binary' };

const freePort = () => new Promise((done) => {
  const probe = createServer().listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => done(port)); });
});

before(async () => {
  if (server.reason) return;
  const port = await freePort();
  server.address = `http://127.0.0.1:${port}`;
  server.data = mkdtempSync(`${tmpdir()}/vlgate-page-`);
  server.child = spawn(binary, ['serve', '--port', String(port), '--data', server.data], { stdio: 'ignore' });
  for (let i = 0; i < 600; i++) {
    const served = await fetch(server.address).then((r) => r.text(), () => undefined);
    if (served !== undefined) {
      if (served !== page) server.reason = 'the binary has another page built in';
      return;
    }
    await new Promise((r) => setTimeout(r, 100));
  }
  server.reason = 'the binary did not start';
});
after(() => {
  server.child?.kill();
  if (server.data) rmSync(server.data, { recursive: true, force: true });
});

const open = () => ui.open({ mock: { address: server.address, state: {} }, model: 'vlgate-demo' });

test('the three sample questions are answered by the demo model, with what it saw', async (t) => {
  if (server.reason) return t.skip(server.reason);
  const it = await open();
  for (const [i, right] of [/rectangle/i, /\b(2|two)\b/i, /\b6\b/].entries()) {
    await it.page.click(`.samples button >> nth=${i}`);
    await it.page.waitForSelector('.answer');
    await it.done();
    assert.match(await it.answer().locator('.markdown').innerText(), right);
    assert.match(await it.answer().locator('.numbers').innerText(), /tokens read \(\d+ for pictures/);
    await it.page.click('.seen summary');
    assert.match(await it.page.locator('.seen li').innerText(), /^\w+\.png: png · \d+×\d+ → \d+×\d+ · \d+ tokens$/);
    await it.page.click('button:has-text("New")');
    await it.page.waitForSelector('.samples');
  }
  await it.close();
});

test('a clip is sampled and the request as curl gives an answer', async (t) => {
  if (server.reason) return t.skip(server.reason);
  const it = await open();
  const { page } = it;
  await it.add(clip);
  await it.say('What is this?');
  await page.click('.seen summary');
  assert.match(await page.locator('.seen li').innerText(), /^clip\.mp4: mp4 vp9 .* frames: 0\.0 s, /);
  await page.click('footer >> text=Request as code');
  await page.waitForFunction(() => document.querySelector('.snippet').textContent.includes('curl -N'));
  await page.click('dialog button:has-text("Copy")');
  const script = `${server.data}/request.sh`;
  writeFileSync(script, await page.evaluate(() => navigator.clipboard.readText()));
  const { stdout } = await promisify(execFile)('bash', [script]);
  assert.match(stdout, /"delta":\{[\s\S]*"finish_reason":"stop"[\s\S]*data: \[DONE\]/);
  await it.close();
});

test('a damaged picture is named; the Server tab has the numbers of this server', async (t) => {
  if (server.reason) return t.skip(server.reason);
  const it = await open();
  const { page } = it;
  await it.add({ name: 'broken.png', mimeType: 'image/png', buffer: Buffer.from('\x89PNG\r\n\x1a\nno picture', 'latin1') });
  await it.say('What is this?');
  assert.match(await it.answer().locator('.trouble').innerText(), /^broken\.png: The server could not read this file/);
  await page.click('.tabs >> text=Server');
  await page.waitForFunction(() => document.querySelectorAll('.plot path').length >= 6, undefined, { timeout: 20_000 });
  assert.match(await page.locator('.server').innerText(), /vlgate-demo[\s\S]*native[\s\S]*text, pictures[\s\S]*used \d+[\s\S]*free \d+/);
  await it.close();
});
