import assert from 'node:assert/strict';
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
