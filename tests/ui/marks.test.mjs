import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asFile, clip, pdf, picture, pixels, setUp } from './page.mjs';

const ui = setUp();
const near = (a, b) => a.every((n, i) => Math.abs(n - b[i]) <= 12);

test('boxes and points are drawn where the answer says, to the pixel', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('two.png', picture(400, 300, [[40, 60, 120, [255, 0, 0]]])));
  await it.say('boxes');
  await page.mouse.move(5, 400);
  const shot = await pixels(page, page.locator('.picture'));
  assert.deepEqual([shot.width, shot.height], [400, 300]);
  const [blue, green, white] = [[10, 132, 255], [18, 161, 80], [255, 255, 255]];
  // [500, 500, 800, 900] of 400x300 is 200..320 by 150..270; the line is three pixels inside.
  for (const [x, y] of [[201, 200], [318, 200], [250, 151], [250, 268]]) assert.ok(near(shot.at(x, y), blue), `blue at ${x},${y}: ${shot.at(x, y)}`);
  for (const [x, y] of [[197, 200], [205, 200], [323, 200], [280, 210], [280, 273]]) assert.ok(near(shot.at(x, y), white), `white at ${x},${y}: ${shot.at(x, y)}`);
  assert.ok(near(shot.at(300, 75), green), `point: ${shot.at(300, 75)}`);
  assert.ok(!near(shot.at(41, 120), white) && near(shot.at(100, 120), [255, 0, 0]), 'first box around the red square');
  assert.deepEqual(await page.locator('.chip').allInnerTexts(), ['red square', 'blue square', 'a point', 'left one']);

  // Hovering the text lights the box, and the other way round; so does the keyboard.
  await page.hover('.mark[data-mark="1"]');
  await page.waitForSelector('.overlay .box.hot:has-text("blue square")');
  await page.hover('.chip:has-text("left one")');
  await page.waitForSelector('.mark.hot:has-text("left one")');
  assert.equal(await page.locator('.markdown p').last().innerText(), 'The left one is red.');
  await page.focus('.mark[data-mark="0"]');
  await page.waitForSelector('.overlay .box.hot:has-text("red square")');

  // A chip opens the picture with its part marked, ready to ask about.
  await page.click('.chip:has-text("blue square")');
  assert.equal(await page.locator('.crop label:has-text("right") input').inputValue(), '800');
  await page.click('text=Ask about this part');
  await page.waitForSelector('.composer [aria-label="Open two [500 500 800 900].png"]');
  await it.close();
});

test('boxes in tool calls, and in the forms that other models write', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('two.png', picture(400, 300)));
  await it.say('press it');
  await page.mouse.move(5, 400);
  const shot = await pixels(page, page.locator('.picture'));
  for (const [x, y] of [[101, 150], [298, 150], [200, 76], [200, 223]]) assert.ok(near(shot.at(x, y), [230, 25, 75]), `at ${x},${y}: ${shot.at(x, y)}`);
  assert.deepEqual(await page.locator('.chip').allInnerTexts(), ['OK']);
  await page.click('button:has-text("New")');
  await it.add(asFile('one.png', picture(1000, 500)));
  await it.say('forms');
  assert.deepEqual(await page.locator('.chip').allInnerTexts(), ['cat', 'Box 2', 'dog', 'tail']);
  assert.deepEqual(await page.locator('.chip').evaluateAll((all) => all.map((e) => e.getAttribute('aria-label'))), ['cat: 100, 100, 200, 200', 'Box: 300, 100, 400, 200', 'dog: 500, 100, 600, 200', 'tail: 750, 150']);
  await it.close();
});

test('time stamps move the clip, page references the document', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(clip);
  await it.say('when');
  assert.deepEqual(await page.locator('.jump').allInnerTexts(), ['0:01', '2.5 seconds']);
  for (const [name, seconds] of [['2.5 seconds', 2.5], ['0:01', 1]]) {
    await page.click(`.jump:has-text("${name}")`);
    await page.waitForFunction((s) => Math.abs((document.querySelector('.stage video')?.currentTime ?? -1) - s) < 0.01, seconds);
  }
  await page.click('.stage [aria-label="Close"]');
  await it.add(pdf);
  await it.say('where in the document');
  await page.click('.jump:has-text("page 2")');
  await page.waitForSelector('.stage h2:has-text("two-pages.pdf, page 2")');
  assert.match(await page.getAttribute('.stage iframe', 'src'), /^blob:.*#page=2$/);
  await it.close();
});
