import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { asFile, picture, setUp } from './page.mjs';

const ui = setUp();
const run = promisify(execFile);

test('code goes out as files in a zip', async () => {
  const it = await ui.open();
  await it.say('code');
  const zip = await it.download(() => it.page.click('text=Export code (4)'));
  const read = 'import json, sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(json.dumps({n: z.read(n).decode() for n in z.namelist()}))';
  const files = JSON.parse((await run('python3', ['-c', read, zip.path])).stdout);
  assert.deepEqual(Object.keys(files).sort(), ['answer-1-2.html', 'answer-1-3.rs', 'answer-1-4.txt', 'src/main.py']);
  assert.equal(files['src/main.py'], '# src/main.py\nprint("hello")\n');
  assert.equal(zip.name, 'code.zip');
  await it.page.click('.code [data-act="copy"] >> nth=2');
  assert.equal(await it.page.evaluate(() => navigator.clipboard.readText()), 'fn main() {}\n');
  await it.close();
});

test('an HTML answer comes alive in a frame of its own', async () => {
  const it = await ui.open();
  await it.say('code');
  await it.page.click('[data-act="preview"]');
  const p = it.page.frameLocator('iframe.preview').locator('#p');
  await p.waitFor();
  // Its scripts and styles run, in an origin that sees nothing of the page.
  assert.equal(await p.innerText(), 'alive null alone');
  assert.equal(await p.evaluate((e) => getComputedStyle(e).color), 'rgb(1, 2, 3)');
  assert.equal(await p.evaluate(() => fetch('/v1/models').then(() => 'sent', () => 'refused')), 'refused');
  await it.page.keyboard.press('Escape');
  await it.page.waitForSelector('iframe.preview', { state: 'detached' });
  await it.context.close();
});

test('what is copied or previewed is the whole block, however late the last words were drawn', async () => {
  const it = await ui.open();
  await it.say('long code');
  // Within the page, so that nothing is drawn in between.
  await it.page.evaluate(() => new Promise((done) => {
    const look = () => {
      const answer = document.querySelector('.answer');
      if (answer?.getAttribute('aria-busy') === 'false') { answer.querySelector('[data-act="preview"]').click(); done(); } else setTimeout(look);
    };
    look();
  }));
  await it.page.frameLocator('iframe.preview').locator('#end').waitFor();
  await it.context.close();
});

test('the very request as curl, Python and JavaScript', async () => {
  const it = await ui.open();
  const { page } = it;
  await page.fill('label:has-text("top_k") input', '5');
  await it.add(asFile("it's.png", picture(20, 20)));
  await it.say("What's this?");
  await page.click('footer >> text=Request as code');
  const copied = async (name) => {
    await page.click(`dialog .tabs button:has-text("${name}")`);
    await page.waitForFunction((n) => document.querySelector('.snippet').textContent.includes(n), { curl: 'curl -N', Python: 'from openai', JavaScript: 'import OpenAI' }[name]);
    await page.click('dialog button:has-text("Copy")');
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const { stdout } = await run('bash', ['-c', await copied('curl')]);
  assert.match(stdout, /data: \[DONE\]/);
  // What the page alone asks for, to show it, is not in the code.
  const { vlgate, ...sent } = it.mock.state.requests[0];
  assert.deepEqual(vlgate, { explain_media: true });
  assert.deepEqual(it.mock.state.requests[1], sent);

  // The code says the same: run with a stand-in for the SDK that prints what it is given.
  const dir = await (await import('node:fs/promises')).mkdtemp('/tmp/vlgate-ui-');
  const { writeFile } = await import('node:fs/promises');
  await writeFile(`${dir}/it's.png`, picture(20, 20));
  await writeFile(`${dir}/openai.py`, 'import json\nclass OpenAI:\n    def __init__(self, **k):\n        self.chat = self.completions = self\n    def create(self, extra_body={}, **k):\n        print(json.dumps({**k, **extra_body}))\n        return []\n');
  await writeFile(`${dir}/say.py`, await copied('Python'));
  assert.deepEqual(JSON.parse((await run('python3', ['say.py'], { cwd: dir })).stdout), sent);
  await (await import('node:fs/promises')).mkdir(`${dir}/node_modules/openai`, { recursive: true });
  await writeFile(`${dir}/node_modules/openai/package.json`, '{"name": "openai", "type": "module", "main": "index.js"}');
  await writeFile(`${dir}/node_modules/openai/index.js`, 'export default class { chat = { completions: { create: async (b) => { console.log(JSON.stringify(b)); return []; } } } }');
  await writeFile(`${dir}/say.mjs`, await copied('JavaScript'));
  assert.deepEqual(JSON.parse((await run('node', ['say.mjs'], { cwd: dir })).stdout), sent);
  await it.close();
});

test('save, clear, undo, load', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('kept.png', picture(30, 20, [[0, 0, 10, [0, 0, 255]]])));
  await it.say('keep me');
  const saved = await it.download(() => page.click('footer button:has-text("Save") >> nth=0'));
  assert.equal(saved.name, 'keep-me.json');
  const written = await it.download(() => page.click('footer >> text=Save as Markdown'));
  assert.match(await readFile(written.path, 'utf8'), /# keep me\n\n## user\n\n- image: kept\.png \(30×20\)\n\nkeep me\n\n## assistant\n\nAnswer 1 to: keep me/);
  await page.click('footer >> text=Clear');
  await page.waitForSelector('.samples');
  await page.click('.toast >> text=Undo');
  await page.waitForSelector('.answer');
  await page.click('footer >> text=Clear');
  await page.setInputFiles('#load-input', asFile('saved.json', await readFile(saved.path), 'application/json'));
  await page.waitForSelector('.question .thumb img');
  await it.say('again');
  const parts = it.mock.state.requests.at(-1).messages[0].content;
  assert.equal(parts[0].image_url.url, it.mock.state.requests[0].messages[0].content[0].image_url.url);
  await page.setInputFiles('#load-input', asFile('other.json', Buffer.from('{"a": 1}'), 'application/json'));
  await page.waitForSelector('.toast:has-text("other.json is not a conversation")');
  const all = await it.download(() => page.click('button:has-text("Export all")'));
  assert.equal(JSON.parse(await readFile(all.path, 'utf8')).conversations.length, 1);
  await it.close();
});
