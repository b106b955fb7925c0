import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { asFile, picture, setUp } from './page.mjs';

const ui = setUp();
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return violations.filter((v) => ['serious', 'critical', 'moderate'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join('; ')}`);
}

for (const [colorScheme, locale] of [['light', 'en-US'], ['dark', 'zh-CN']]) {
  test(`axe finds nothing: ${colorScheme}, ${locale}`, async () => {
    const it = await ui.open({ colorScheme, locale });
    const { page } = it;
    assert.deepEqual(await findings(page), [], 'first run');
    await it.add(asFile('a.png', picture(200, 150)));
    await it.say('boxes');
    await it.say('code');
    await it.say('think');
    await it.say('bad picture');
    assert.deepEqual(await findings(page), [], 'chat');
    await page.click('.question .thumb-open');
    assert.deepEqual(await findings(page), [], 'viewer');
    await page.keyboard.press('Escape');
    await page.click('.tabs button >> nth=1');
    await page.waitForSelector('.plot path');
    assert.deepEqual(await findings(page), [], 'server');
    assert.equal(await page.evaluate(() => document.documentElement.lang), locale === 'en-US' ? 'en' : 'zh-CN');
    await it.close();
  });
}

test('everything by keyboard', async () => {
  const it = await ui.open();
  const { page } = it;
  const focus = () => page.evaluate(() => { const e = document.activeElement; return e.getAttribute('aria-label') ?? e.innerText ?? ''; });
  const tabTo = async (name) => {
    for (let i = 0; i < 80; i++) {
      await page.keyboard.press('Tab');
      if ((await focus()).includes(name)) return;
    }
    assert.fail(`Tab never came to ${name}`);
  };
  await page.keyboard.press('Tab');
  assert.equal(await focus(), 'To the question');
  await page.keyboard.press('Enter');
  await page.keyboard.type('boxes by keyboard');
  await page.keyboard.press('Enter');
  await it.done();
  assert.equal(await focus(), 'Your question');
  await page.keyboard.type('slow');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.markdown:has-text("word3")');
  await page.keyboard.press('Escape');
  await it.done();
  await page.waitForSelector('text=Stopped.');
  await page.evaluate(() => document.querySelector('.question button').focus());
  await tabTo('Answer again');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.answer >> text=2 / 2');
  await it.done();
  await tabTo('Request as code');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  assert.equal(await focus(), 'Request as code');
  await it.close();
});

test('a phone: drawers, no sideways scrolling, ask and read', async () => {
  const it = await ui.open({ viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  const { page } = it;
  const sideways = () => page.evaluate(() => Math.max(innerWidth, document.documentElement.scrollWidth, document.querySelector('.log, .server').scrollWidth) - 360);
  assert.equal(await page.isVisible('#left'), false);
  assert.ok((await sideways()) <= 0);
  // All that is in the bar can be pressed, and the first page begins at its top.
  for (const e of await page.locator('.bar > *:visible').all()) { const b = await e.boundingBox(); assert.ok(b.x >= 0 && b.x + b.width <= 360, JSON.stringify(b)); }
  assert.equal(await page.locator('.log').evaluate((e) => e.scrollTop), 0);
  await page.tap('.bar button >> nth=0');
  await page.setInputFiles('#file-input', asFile('a.png', picture(900, 700)));
  await page.waitForSelector('#left .thumb img');
  await page.touchscreen.tap(350, 300);
  await page.waitForSelector('#left', { state: 'hidden' });
  await it.say('boxes');
  await it.say('rich');
  assert.ok((await sideways()) <= 0);
  const box = await page.locator('.picture').boundingBox();
  assert.ok(box.width <= 360, `${box.width}`);
  assert.deepEqual(await findings(page), []);
  await it.close();
});

test('the Server tab plots what /metrics says', async () => {
  const it = await ui.open();
  const { page } = it;
  await page.click('.tabs >> text=Server');
  await page.waitForFunction(() => document.querySelectorAll('.plot path').length >= 6, undefined, { timeout: 20_000 });
  assert.match(await page.locator('.plot:has-text("KV blocks")').innerText(), /used \d+[\s\S]*free \d+/);
  assert.match(await page.locator('.plot:has-text("Picture cache")').innerText(), /does not report it/);
  assert.match(await page.locator('.server').innerText(), /mock-vl = gpt-4o\s+native\s+q8\s+4,096\s+text, pictures/);
  await it.close();
});
