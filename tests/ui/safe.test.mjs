import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { HOSTILE } from './mock.mjs';
import { asFile, picture, setUp } from './page.mjs';

const ui = setUp();

test('a hostile answer does nothing', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('<img src=x onerror=hacked=20>.png', picture(50, 50)));
  await it.say('hostile');
  await page.waitForSelector('.math[data-drawn]');
  await page.waitForTimeout(300);
  const found = await page.evaluate(() => {
    const all = [...document.querySelectorAll('.answer *')];
    return {
      hacked: window.hacked,
      tags: [...new Set(all.map((e) => e.localName))].filter((t) => ['script', 'iframe', 'form', 'input', 'style', 'base', 'meta', 'object', 'embed'].includes(t)),
      handlers: all.flatMap((e) => [...e.attributes].filter((a) => a.name.startsWith('on')).map((a) => a.name)),
      links: [...document.querySelectorAll('.answer a')].map((a) => a.getAttribute('href')).filter((h) => !/^(https?:|mailto:|#)/.test(h)),
      remote: [...document.querySelectorAll('.answer img')].map((i) => i.getAttribute('src')).filter((s) => !/^(blob:|data:image\/)/.test(s)),
      unguarded: [...document.querySelectorAll('.markdown a')].filter((a) => a.target !== '_blank' || !a.rel.includes('noopener')).length,
    };
  });
  assert.deepEqual(found, { hacked: undefined, tags: [], handlers: [], links: [], remote: [], unguarded: 0 });
  // It is shown as what it is, in full view.
  const text = await it.answer().locator('.markdown').innerText();
  for (const piece of ['<script>window.hacked = 1</script>', '<img src=x onerror="window.hacked = 2">', '[click](javascript:window.hacked=5)']) assert.ok(text.includes(piece), piece);
  for (const link of await page.locator('.answer button:visible').all()) if (/preview/i.test(await link.innerText())) await link.click();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.ok(HOSTILE.length > 500);
  await it.close();
});

test('huge and deeply nested Markdown do not hold up the page', async () => {
  const it = await ui.open();
  const began = Date.now();
  await it.say('huge');
  await it.page.waitForSelector('text=is shown as plain text');
  await it.say('deep');
  await it.page.waitForSelector('.answer >> nth=1');
  await it.say('still there?');
  assert.match(await it.answer().innerText(), /to: still there\?/);
  assert.ok(Date.now() - began < 30_000, `${Date.now() - began} ms`);
  await it.close();
});

test('a hostile HTML answer gets nothing out of its preview', async () => {
  let reached = 0;
  // Chromium opens a connection before it asks the policy about a navigation; not a byte may go over it.
  const evil = createServer((socket) => { socket.once('data', () => { reached++; socket.destroy(); }).on('error', () => {}).unref(); });
  await new Promise((done) => evil.listen(0, '127.0.0.1', done));
  // Nor does a test that fails wait for it.
  evil.unref();
  const it = await ui.open();
  const { page } = it;
  it.mock.state.evil = `127.0.0.1:${evil.address().port}`;
  const navigated = page.waitForEvent('console', (m) => /frame-src/.test(m.text()));
  await it.say('escape');
  await page.click('[data-act="preview"]');
  // The last thing it tries, some time after all others, is to leave with what it knows.
  await navigated;
  await page.waitForTimeout(1500);
  assert.equal(reached, 0);
  assert.equal(it.context.pages().length, 1);
  assert.equal(new URL(page.url()).origin, it.mock.address);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await it.context.close();
  await fetch(`http://${it.mock.state.evil}/`).catch(() => {});
  assert.equal(reached, 1);
  evil.close();
});

test('a megabyte of Markdown: the page answers while it comes and after', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.say('a megabyte');
  await page.waitForSelector('text=is shown as plain text');
  assert.ok((await it.answer().locator('.huge').evaluate((e) => e.textContent.length)) > 1_000_000);
  const each = await page.evaluate(async () => {
    const field = document.querySelector('#question');
    const began = performance.now();
    for (let i = 0; i < 10; i++) {
      field.value += 'x';
      field.dispatchEvent(new Event('input', { bubbles: true }));
      await new Promise((r) => requestAnimationFrame(r));
    }
    return (performance.now() - began) / 10;
  });
  assert.ok(each < 300, `${each} ms for a letter`);
  await it.close();
});

test('the policy itself refuses what slips through', async () => {
  const it = await ui.open();
  const refused = await it.page.evaluate(async () => {
    const seen = [];
    document.addEventListener('securitypolicyviolation', (e) => seen.push(e.effectiveDirective));
    const image = new Image();
    image.src = 'https://evil.example/x.png';
    await fetch('https://evil.example/').catch(() => {});
    const script = document.createElement('script');
    try { script.text = 'window.hacked = 1'; document.body.append(script); } catch { seen.push('trusted-types'); }
    try { document.createElement('div').innerHTML = '<b>x</b>'; } catch { seen.push('trusted-types'); }
    await new Promise((r) => setTimeout(r, 300));
    return { hacked: window.hacked, seen: [...new Set(seen)].sort() };
  });
  assert.equal(refused.hacked, undefined);
  for (const directive of ['connect-src', 'img-src', 'trusted-types']) assert.ok(refused.seen.includes(directive), `${directive}: ${refused.seen}`);
  await it.context.close();
});
