import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asFile, clip, picture, setUp } from './page.mjs';

const ui = setUp();
const button = (it, name) => it.answer().locator(`.acts [aria-label="${name}"]`).last();

test('a question is streamed, with its numbers; the settings are in the request', async () => {
  const it = await ui.open();
  const { page } = it;
  assert.equal(await page.getAttribute('label:has-text("temperature") input', 'placeholder'), '0.7');
  await page.fill('label:has-text("temperature") input', '0.3');
  await page.fill('label:has-text("seed") input', '7');
  await page.fill('label:has-text("System prompt") textarea', 'Be short.');
  await page.fill('label:has-text("Stop texts") textarea', 'END\nSTOP');
  await page.selectOption('label:has-text("Detail") select', 'low');
  await page.selectOption('label:has-text("Answer format") select', 'json_object');
  await it.add(asFile('a.png', picture(64, 64)));
  await it.say('hello');
  assert.match(await it.answer().innerText(), /Answer 1 to: hello[\s\S]*first token[\s\S]*84 tokens read \(64 for pictures, 16 from the cache\)[\s\S]*% of the context/);
  const { messages, ...body } = it.mock.state.requests[0];
  assert.deepEqual(body, { model: 'mock-vl', temperature: 0.3, seed: 7, stop: ['END', 'STOP'], response_format: { type: 'json_object' }, stream: true, stream_options: { include_usage: true }, vlgate: { explain_media: true } });
  assert.deepEqual(messages[0], { role: 'system', content: 'Be short.' });
  assert.equal(messages[1].content[0].image_url.detail, 'low');
  await it.close();
});

test('stop keeps what is there and tells the server; continue goes on from it', async () => {
  const it = await ui.open();
  await it.ask('slow please');
  await it.page.waitForSelector('.markdown:has-text("word5")');
  await it.page.click('.composer .stop');
  await it.done();
  assert.match(await it.answer().innerText(), /word5[\s\S]*Stopped\.[\s\S]*tokens\/s/);
  await it.page.waitForFunction(() => true);
  for (let i = 0; i < 50 && !it.mock.state.aborted; i++) await new Promise((r) => setTimeout(r, 50));
  assert.equal(it.mock.state.aborted, 1);
  await button(it, 'Continue').click();
  await it.page.waitForFunction(() => document.querySelector('.composer .stop'));
  await it.page.keyboard.press('Escape');
  await it.done();
  const [, next] = it.mock.state.requests;
  assert.equal(next.continue_final_message, true);
  assert.equal(next.messages.at(-1).role, 'assistant');
  await it.close();
});

test('answer again and edit make versions that one can go between', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.say('first');
  await button(it, 'Answer again').click();
  await page.waitForSelector('.answer:has-text("Answer 2 to: first")');
  await it.done();
  assert.match(await it.answer().innerText(), /2 \/ 2/);
  await button(it, 'Previous version').click();
  await page.waitForSelector('.answer:has-text("Answer 1 to: first")');
  await page.click('.question [aria-label="Edit the question"]');
  await page.fill('.editing textarea', 'second');
  await page.press('.editing textarea', 'Enter');
  await page.waitForSelector('.answer:has-text("Answer 3 to: second")');
  await it.done();
  await page.click('.question [aria-label="Previous version"]');
  await page.waitForSelector('.question:has-text("first")');
  assert.equal(await page.locator('.turn').count(), 2);
  assert.equal(it.mock.state.requests[2].messages.length, 1);
  await it.close();
});

test('thoughts are folded, tool calls are cards and take results', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.say('think');
  assert.equal(await page.locator('.reasoning').getAttribute('open'), null);
  await page.click('.reasoning summary');
  await page.waitForSelector('.reasoning >> text=Let me look at it closely.');
  await page.fill('label:has-text("Tools (JSON)") textarea', '[{"type": "function"');
  await page.waitForSelector('text=This is not what is expected here.');
  await page.fill('label:has-text("Tools (JSON)") textarea', '[{"type": "function", "function": {"name": "weather"}}]');
  await it.say('weather');
  assert.match(await it.answer().innerText(), /weather[\s\S]*"city": "Berlin"/);
  assert.equal(it.mock.state.requests[1].tools[0].function.name, 'weather');
  await page.fill('.tool textarea', 'sunny');
  await page.click('text=Send the results');
  await page.waitForSelector('.answer:has-text("It is sunny.")');
  const messages = it.mock.state.requests[2].messages;
  assert.deepEqual(messages.at(-1), { role: 'tool', tool_call_id: 'call_1', content: 'sunny' });
  assert.deepEqual(messages.at(-2).tool_calls[0].function, { name: 'weather', arguments: '{"city": "Berlin"}' });
  await it.close();
});

test('a broken connection is taken up again without losing text; a busy server is waited for', async () => {
  const it = await ui.open();
  await it.ask('break');
  await it.page.waitForSelector('.answer:has-text("The connection breaks in the")');
  it.mock.state.cut();
  await it.page.waitForSelector('.answer:has-text("nothing is lost.")');
  await it.done();
  assert.match(await it.answer().locator('.markdown').innerText(), /^The connection breaks in the middle of this sentence but nothing is lost\.$/);
  assert.equal(it.mock.state.requests[1].messages.at(-1).content, 'The connection breaks in the ');
  await it.ask('busy');
  await it.page.waitForSelector('text=The server is busy. Trying again');
  await it.page.waitForSelector('.answer:has-text("Answer 1 to: busy")');
  await it.close();
});

test('errors name the file and say what to do', async () => {
  const it = await ui.open();
  await it.add(asFile('good.png', picture(8, 8)), asFile('broken.png', picture(9, 9)));
  await it.say('bad picture');
  assert.match(await it.answer().locator('.trouble').innerText(), /^broken\.png: The server could not read this file[\s\S]*could not be decoded/);
  await it.add(clip);
  await it.say('clip');
  assert.match(await it.answer().locator('.trouble').innerText(), /^clip\.mp4: This server does not take this kind of file yet/);
  it.mock.state.needKey = 'secret';
  await it.say('hello');
  assert.match(await it.answer().locator('.trouble').innerText(), /did not accept the API key/);
  await it.page.click('.banner button');
  await it.page.waitForFunction(() => document.activeElement.id === 'api-key');
  await it.page.keyboard.type('secret');
  await it.page.keyboard.press('Tab');
  await it.page.waitForSelector('.banner', { state: 'detached' });
  await button(it, 'Answer again').click();
  await it.page.waitForSelector('.answer:has-text("to: hello")');
  assert.deepEqual(await it.page.evaluate(() => [sessionStorage['vlgate.key'], localStorage['vlgate.key']]), ['"secret"', undefined]);
  await it.page.click('text=Keep the key in this browser');
  assert.equal(await it.page.evaluate(() => localStorage['vlgate.key']), '"secret"');
  await it.close();
});

test('conversations stay: reload, search, rename, delete, undo', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('kept.png', picture(30, 20)));
  await it.say('about apples');
  await page.click('button:has-text("New")');
  await it.say('about pears');
  await page.waitForTimeout(500);
  await page.reload();
  await page.click('.conversations .title:has-text("about apples")');
  await page.waitForSelector('.question .thumb img');
  await page.fill('[aria-label="Search"]', 'pears');
  await page.waitForFunction(() => document.querySelectorAll('.conversations li').length === 1);
  await page.fill('[aria-label="Search"]', '');
  await page.click('[aria-label="Rename: about apples"]');
  await page.fill('.conversations input', 'Fruit');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.conversations .title:has-text("Fruit")');
  await page.click('[aria-label="Delete: Fruit"]');
  await page.waitForSelector('.conversations .title:has-text("Fruit")', { state: 'detached' });
  await page.click('.toast button:has-text("Undo")');
  await page.waitForSelector('.conversations .title:has-text("Fruit")');
  await it.close();
});

test('the first run has three questions that can be asked', async () => {
  const it = await ui.open();
  assert.equal(await it.page.locator('.samples button').count(), 3);
  await it.page.click('.samples button >> nth=1');
  await it.done();
  const [image, text] = it.mock.state.requests[0].messages[0].content;
  assert.match(image.image_url.url, /^data:image\/png;base64,/);
  assert.equal(text.text, 'How many triangles are in the image?');
  await it.close();
});
