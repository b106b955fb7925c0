// A browser on the page, with everything that went wrong in it collected.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { PNG } from 'pngjs';
import { after, before } from 'node:test';
import { startMock } from './mock.mjs';

const files = new URL('./files/', import.meta.url);
export const asFile = (name, buffer, mimeType = 'image/png') => ({ name, mimeType, buffer });
export const clip = asFile('clip.mp4', readFileSync(new URL('clip.mp4', files)), 'video/mp4');
export const pdf = asFile('two-pages.pdf', readFileSync(new URL('two-pages.pdf', files)), 'application/pdf');

/** One browser and one mock for a test file; each test opens its own page in its own profile. */
export function setUp() {
  const all = {};
  before(async () => {
    all.mock = await startMock();
    all.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    });
  });
  after(async () => {
    await all.browser?.close();
    await all.mock?.close();
  });
  all.open = (options) => open(all, options);
  return all;
}

async function open({ browser, mock: shared }, { mock = shared, model = 'mock-vl', setup, permissions = ['clipboard-read', 'clipboard-write', 'camera'], ...options } = {}) {
  Object.assign(mock.state, { requests: [], busy: 0, aborted: 0, count: 0, needKey: '' });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', acceptDownloads: true, permissions, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('console', (m) => { if (/Content Security Policy|Trusted/i.test(m.text())) wrong.push(`policy: ${m.text()}`); });
  // Nothing may be asked for outside of the page's own server.
  page.on('request', (r) => { if (!/^(data|blob|about|chrome|chrome-extension):/.test(r.url()) && !r.url().startsWith(mock.address)) wrong.push(`request: ${r.url()}`); });
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => console.log(`Content Security Policy violation: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  await setup?.(context);
  await page.goto(mock.address);
  await page.waitForSelector('.samples');
  await page.waitForFunction((name) => document.querySelector('#right')?.textContent.includes(name) || document.querySelector('.banner'), model);

  const it = {
    page, context, mock,
    answer: () => page.locator('.answer').last(),
    async ask(text) {
      await page.fill('#question', text);
      await page.press('#question', 'Enter');
    },
    async done() {
      await page.waitForFunction(() => { const all = document.querySelectorAll('.answer'); return all.length && all[all.length - 1].getAttribute('aria-busy') === 'false'; });
    },
    async say(text) {
      const before = await page.locator('.turn').count();
      await it.ask(text);
      await page.waitForFunction((n) => document.querySelectorAll('.turn').length > n, before);
      await it.done();
    },
    async add(...added) {
      const before = await page.locator('.composer .thumb').count();
      await page.setInputFiles('#file-input', added);
      await page.waitForFunction((n) => document.querySelectorAll('.composer .thumb').length === n, before + added.length);
    },
    async download(press) {
      const [file] = await Promise.all([page.waitForEvent('download'), press()]);
      return { name: file.suggestedFilename(), path: await file.path() };
    },
    async close() {
      await context.close();
      assert.deepEqual(wrong, []);
    },
  };
  return it;
}

/** A white picture with squares: [x, y, side, [r, g, b]]. */
export function picture(width, height, squares = []) {
  const png = new PNG({ width, height });
  png.data.fill(255);
  for (const [x0, y0, side, [r, g, b]] of squares) {
    for (let y = y0; y < y0 + side; y++) for (let x = x0; x < x0 + side; x++) png.data.set([r, g, b, 255], (y * width + x) * 4);
  }
  return PNG.sync.write(png);
}

/** What is on the screen within an element, by its own coordinates. */
export async function pixels(page, locator) {
  const box = await locator.boundingBox();
  const png = PNG.sync.read(await page.screenshot());
  const at = (x, y) => {
    const i = (Math.round(box.y + y) * png.width + Math.round(box.x + x)) * 4;
    return [...png.data.subarray(i, i + 3)];
  };
  return { width: box.width, height: box.height, at };
}
