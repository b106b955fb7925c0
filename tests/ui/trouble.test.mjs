import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startMock } from './mock.mjs';
import { asFile, picture, setUp } from './page.mjs';

const ui = setUp();

test('a reload in the middle of an answer keeps question, files and text, and offers to go on', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('kept.png', picture(30, 20)));
  await it.ask('slow please');
  // Words come faster than anything is put off by.
  await page.waitForSelector('.markdown:has-text("word25")');
  await page.reload();
  await page.waitForSelector('.question .thumb img');
  await page.waitForSelector('text=Stopped.');
  const text = await it.answer().locator('.markdown').innerText();
  assert.ok(Number(text.match(/word(\d+)\s*$/)?.[1]) >= 10, text);
  await it.answer().locator('.acts [aria-label="Continue"]').click();
  await page.waitForSelector('.composer .stop');
  const { messages } = it.mock.state.requests.at(-1);
  assert.deepEqual([messages.length, messages[1].content], [2, it.mock.state.requests.at(-1).messages[1].content]);
  assert.match(messages[1].content, /^word0 word1 /);
  await page.keyboard.press('Escape');
  await it.close();
});

test('stop before the first word tells the server, and one can ask again', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.ask('prefill');
  await page.waitForSelector('.answer:has-text("Waiting for the model")');
  await page.waitForFunction(() => document.querySelector('.composer .stop'));
  // The request is with the server before it is taken back.
  for (let i = 0; i < 50 && !it.mock.state.requests.length; i++) await new Promise((r) => setTimeout(r, 50));
  await page.waitForTimeout(100);
  await page.keyboard.press('Escape');
  await page.waitForSelector('text=Stopped.');
  for (let i = 0; i < 50 && !it.mock.state.aborted; i++) await new Promise((r) => setTimeout(r, 50));
  assert.equal(it.mock.state.aborted, 1);
  await it.say('hello');
  assert.match(await it.answer().innerText(), /Answer 1 to: hello/);
  assert.deepEqual(it.mock.state.requests[1].messages.map((m) => m.role), ['user', 'assistant', 'user']);
  await it.close();
});

test('a reload keeps the draft and the files for the next question', async () => {
  const it = await ui.open();
  await it.add(asFile('kept.png', picture(30, 20)));
  await it.page.fill('#question', 'half a question');
  await it.page.reload();
  await it.page.waitForSelector('.composer .thumb img');
  assert.equal(await it.page.inputValue('#question'), 'half a question');
  await it.page.press('#question', 'Enter');
  await it.done();
  assert.equal(it.mock.state.requests[0].messages[0].content.length, 2);
  await it.close();
});

test('a server that goes away in the middle and comes back: the text stays, the answer goes on by itself', async () => {
  const mock = await startMock();
  const it = await ui.open({ mock });
  const { page } = it;
  await it.ask('slow please');
  await page.waitForSelector('.markdown:has-text("word9")');
  await mock.close();
  await page.waitForSelector('text=The connection broke. The text is kept');
  assert.match(await it.answer().innerText(), /word9/);
  await page.waitForSelector('.banner:has-text("cannot be reached")');
  const again = await startMock(Number(new URL(mock.address).port));
  await page.waitForFunction(() => document.querySelector('.answer .markdown').textContent.split('word0').length > 2);
  await page.waitForSelector('.banner', { state: 'detached' });
  assert.equal(again.state.requests[0].continue_final_message, true);
  await page.keyboard.press('Escape');
  await again.close();
  await it.close();
});

test('an error offers to try again, and nothing that was asked is lost', async () => {
  const it = await ui.open();
  const { page } = it;
  it.mock.state.needKey = 'secret';
  await it.say('hello');
  it.mock.state.needKey = '';
  await it.answer().locator('.trouble button:has-text("Try again")').click();
  await page.waitForSelector('.answer:has-text("to: hello")');
  assert.equal(await page.locator('.branches').count(), 0);
  await it.close();
});

test('a browser that keeps nothing says so, and all else works', async () => {
  const setup = (context) => context.addInitScript(() => Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('no', 'SecurityError'); } }));
  const it = await ui.open({ setup });
  await it.page.waitForSelector('text=This browser keeps nothing for this page');
  await it.add(asFile('a.png', picture(30, 20)));
  await it.say('hello');
  assert.match(it.mock.state.requests[0].messages[0].content[0].image_url.url, /^data:image\/png;base64,iVBOR/);
  await it.close();
});

test('a full browser says so', async () => {
  const setup = (context) => context.addInitScript(() => { IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); }; });
  const it = await ui.open({ setup });
  await it.say('hello');
  await it.page.waitForSelector('text=storage is full');
  await it.close();
});

test('one file that cannot be read does not stop the others', async () => {
  const setup = (context) => context.addInitScript(() => {
    const read = Blob.prototype.arrayBuffer;
    Blob.prototype.arrayBuffer = function () { return this.name === 'moved.png' ? Promise.reject(new DOMException('gone', 'NotReadableError')) : read.call(this); };
  });
  const it = await ui.open({ setup });
  await it.page.setInputFiles('#file-input', [asFile('a.png', picture(8, 8)), asFile('moved.png', picture(8, 8)), asFile('c.png', picture(8, 8))]);
  await it.page.waitForSelector('.toast:has-text("moved.png cannot be read")');
  await it.page.waitForSelector('.composer [aria-label="Open c.png"]');
  assert.equal(await it.page.locator('.composer .thumb').count(), 2);
  await it.close();
});

test('bytes that the browser lost are named, not taken for a broken connection', async () => {
  const it = await ui.open();
  await it.add(asFile('lost.png', picture(8, 8)));
  await it.page.evaluate(() => new Promise((done) => {
    const opening = indexedDB.open('vlgate', 1);
    opening.onsuccess = () => { const t = opening.result.transaction('blobs', 'readwrite'); t.objectStore('blobs').clear(); t.oncomplete = done; };
  }));
  await it.say('first, from memory');
  await it.page.waitForTimeout(500);
  await it.page.reload();
  await it.page.waitForSelector('.answer');
  await it.say('and now?');
  assert.match(await it.answer().locator('.trouble').innerText(), /^lost\.png: The browser no longer has this file/);
  await it.close();
});

test('what an imported file holds is checked: circles, scripts for addresses, half a shape', async () => {
  const it = await ui.open();
  const { page } = it;
  const load = (what, name = 'x.json') => page.setInputFiles('#load-input', asFile(name, Buffer.from(typeof what === 'string' ? what : JSON.stringify(what)), 'application/json'));
  for (const broken of ['{', '[]', '{"format": "vlgate-conversations"}', '{"format": "vlgate-conversations", "conversations": [null, 1, {"turns": {"a": {"id": "a", "parent": "a", "role": "user", "text": "round"}}, "leaf": "a"}]}']) {
    await load(broken, 'broken.json');
    await page.waitForSelector('.toast:has-text("broken.json is not a conversation")');
    await page.click('.toast [aria-label="Close"]');
  }
  const turns = {
    q: { id: 'q', parent: null, role: 'user', text: 'what is it', attachments: [{ id: 'f', kind: 'pdf', name: 'evil', url: 'javascript:window.hacked=1' }, { id: 'g', kind: 'image', name: 'no bytes.png' }, 7, null] },
    a: { id: 'a', parent: 'q', role: 'assistant', text: 'an answer', status: 'streaming', params: { model: 3 }, stats: { first: 'x', usage: {} }, seen: [{ frames: 'no', size: 'no' }], toolCalls: 'none', failure: 'no' },
    p: { id: 'p', parent: 'r', role: 'user', text: 'round' }, r: { id: 'r', parent: 'p', role: 'user', text: 'round' }, n: null,
  };
  await load({ format: 'vlgate-conversations', version: 1, conversations: [{ id: 'c', title: {}, turns, leaf: 'a' }], files: { f: 'no url', g: 4 } });
  await page.waitForSelector('.answer:has-text("an answer")');
  assert.equal(await page.locator('.question .thumb').count(), 1);
  assert.equal(await it.answer().getAttribute('aria-busy'), 'false');
  await it.say('hello');
  assert.match(await it.answer().innerText(), /no bytes\.png: The browser no longer has this file/);
  await it.close();
});

test('export and import give the same conversations, with branches and files', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('a.png', picture(30, 20)));
  await it.say('boxes');
  await it.answer().locator('.acts [aria-label="Answer again"]').click();
  await page.waitForSelector('text=2 / 2');
  await it.done();
  const first = await it.download(() => page.click('button:has-text("Export all")'));
  await page.click('[aria-label^="Delete: "]');
  await page.setInputFiles('input[aria-label="Import"]', asFile('all.json', await readFile(first.path), 'application/json'));
  await page.waitForSelector('text=2 / 2');
  const second = await it.download(() => page.click('button:has-text("Export all")'));
  const plain = async (path) => {
    const { conversations, files } = JSON.parse(await readFile(path, 'utf8'));
    const ids = new Map();
    const known = (key, value) => (['id', 'parent', 'leaf'].includes(key) && value ? ids.get(value) ?? (ids.set(value, ids.size), ids.get(value)) : value);
    return JSON.parse(JSON.stringify({ c: conversations.map(({ turns, at, ...c }) => ({ turns: Object.values(turns), ...c })), files: Object.values(files) }), known);
  };
  assert.deepEqual(await plain(second.path), await plain(first.path));
  await it.close();
});

test('200 conversations: found by their words, at once', async () => {
  const it = await ui.open();
  const { page } = it;
  const one = (n) => ({ id: `c${n}`, title: `Talk ${n}`, named: true, at: n, leaf: 'a', turns: { q: { id: 'q', parent: null, role: 'user', text: `question ${n}`, at: 1 }, a: { id: 'a', parent: 'q', role: 'assistant', status: 'done', text: `needle-${n}- ${'hay '.repeat(2000)}`, at: 2 } } });
  await page.setInputFiles('#load-input', asFile('all.json', Buffer.from(JSON.stringify({ format: 'vlgate-conversations', version: 1, conversations: Array.from({ length: 200 }, (_, n) => one(n)), files: {} })), 'application/json'));
  await page.waitForFunction(() => document.querySelectorAll('.conversations li').length === 200);
  const took = await page.evaluate(async () => {
    const field = document.querySelector('[aria-label="Search"]');
    const began = performance.now();
    for (const text of ['n', 'needle-17', 'needle-173-']) {
      field.value = text;
      field.dispatchEvent(new Event('input', { bubbles: true }));
      await new Promise((r) => requestAnimationFrame(r));
    }
    return performance.now() - began;
  });
  assert.deepEqual(await page.locator('.conversations .title').allInnerTexts(), ['Talk 173']);
  assert.ok(took < 2000, `${took} ms`);
  await page.waitForTimeout(600);
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll('.conversations li').length === 200);
  await it.close();
});

test('settings that cannot be right are named, and nothing is sent', async () => {
  const it = await ui.open();
  const { page } = it;
  await page.fill('label:has-text("temperature") input', '9');
  await page.fill('label:has-text("Tools (JSON)") textarea', '[{');
  await it.ask('hello');
  await page.waitForSelector('.toast:has-text("Not valid among the settings: temperature, Tools (JSON).")');
  assert.equal(it.mock.state.requests.length, 0);
  assert.equal(await page.inputValue('#question'), 'hello');
  await it.close();
});

test('what is said while a dialog is open is said within it', async () => {
  const it = await ui.open();
  await it.say('hello');
  await it.page.click('footer >> text=Request as code');
  await it.page.click('dialog button:has-text("Copy")');
  await it.page.click('dialog .toast:has-text("Copied") [aria-label="Close"]');
  await it.page.waitForSelector('.toast', { state: 'detached' });
  await it.close();
});
