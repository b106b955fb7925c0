import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asFile, clip, pdf, picture, setUp } from './page.mjs';

const ui = setUp();
const RED = [255, 0, 0];

test('several files at once: thumbnails, what the model sees, removal; the request holds the right parts', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('a.png', picture(640, 480, [[0, 0, 100, RED]])), pdf, clip);
  assert.equal(await page.locator('#left .thumb img').count(), 1);
  await page.click('#left [aria-label="Open a.png"]');
  assert.match(await page.locator('dialog .facts').innerText(), /640 × 480[\s\S]*640 × 480 = 300 tokens/);
  await page.keyboard.press('Escape');
  await page.click('#left [aria-label="Remove clip.mp4"]');
  await it.say('What is in these?');
  const parts = it.mock.state.requests[0].messages[0].content;
  assert.deepEqual(parts.map((p) => p.type), ['image_url', 'file', 'text']);
  assert.match(parts[0].image_url.url, /^data:image\/png;base64,iVBOR/);
  assert.equal(parts[1].file.filename, 'two-pages.pdf');
  assert.match(parts[1].file.file_data, /^data:application\/pdf;base64,JVBERi/);
  assert.equal(await page.locator('.composer .thumb').count(), 0);
  assert.equal(await page.locator('.question .thumb').count(), 2);
  await it.add(clip);
  await it.say('And this?');
  assert.match(it.mock.state.requests[1].messages[2].content[0].video_url.url, /^data:video\/mp4;base64,/);
  await page.click('.answer >> nth=1 >> text=What the model saw');
  const seen = (await page.locator('.answer >> nth=1 >> .seen li').allInnerTexts()).join('\n');
  assert.equal(seen, 'a.png: png · 30×20 → 320×224 · 70 tokens\ntwo-pages.pdf: pdf · 140 tokens · pages 1, 2 of 2\nclip.mp4: mp4 h264 · 320×240 → 160×128 · 80 tokens · 2 frames: 0.0 s, 0.5 s');
  await it.close();
});

test('paste and drop', async () => {
  const it = await ui.open();
  const bytes = [...picture(40, 30, [[5, 5, 10, RED]])];
  for (const [kind, name] of [['paste', 'pasted.png'], ['drop', 'dropped.png']]) {
    await it.page.evaluate(([kind, name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
      const event = kind === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
      document.querySelector('#question').dispatchEvent(event);
    }, [kind, name, bytes]);
    await it.page.waitForSelector(`.composer [aria-label="Open ${name}"]`);
  }
  await it.say('Both?');
  assert.equal(it.mock.state.requests[0].messages[0].content.length, 3);
  await it.close();
});

test('an address goes to the server as it is and is never fetched by the page', async () => {
  const it = await ui.open();
  const { page } = it;
  await page.fill('[aria-label="Address of a picture, clip or document"]', 'not an address');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=That is no http or https address.');
  await page.fill('[aria-label="Address of a picture, clip or document"]', 'https://example.com/cat.jpg');
  await page.keyboard.press('Enter');
  await page.click('#left [aria-label="Open cat.jpg"]');
  await page.waitForSelector('dialog a[href="https://example.com/cat.jpg"]');
  await page.keyboard.press('Escape');
  await it.say('boxes there?');
  assert.equal(it.mock.state.requests[0].messages[0].content[0].image_url.url, 'https://example.com/cat.jpg');
  await page.waitForSelector('text=nothing can be drawn on it');
  await it.close();
});

test('an address that is pasted into the question or dropped is a file; a document goes as one', async () => {
  const it = await ui.open();
  const { page } = it;
  await page.evaluate(() => {
    const paste = (text) => { const data = new DataTransfer(); data.setData('text/plain', text); return document.querySelector('#question').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })); };
    if (paste('https://example.com/a.jpg?x=1')) throw new Error('not taken');
    // A sentence, and a page, are text.
    if (!paste('see https://example.com/a.jpg') || !paste('https://example.com/about')) throw new Error('text was taken');
    const data = new DataTransfer();
    data.setData('text/uri-list', '# from a page\r\nhttps://example.com/report.pdf\r\n');
    document.querySelector('.log').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await page.waitForSelector('.composer [aria-label="Open report.pdf"]');
  await it.say('Both?');
  const [picture, document] = it.mock.state.requests[0].messages[0].content;
  assert.equal(picture.image_url.url, 'https://example.com/a.jpg?x=1');
  assert.deepEqual(document, { type: 'file', file: { file_url: 'https://example.com/report.pdf' } });
  await it.close();
});

test('texts and office files are documents; what the browser cannot draw says what it is', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('notes.md', Buffer.from('# Notes <script>window.hacked = 1</script>'), ''), asFile('main.zig', Buffer.from('const x = 1;'), 'application/octet-stream'), asFile('table.xlsx', Buffer.from('PK\x03\x04\0'), ''),
    asFile('IMG_1.HEIC', Buffer.from('\0\0\0\x18ftypheic'), ''), asFile('old.mkv', Buffer.from('\0no film'), 'video/x-matroska'));
  for (const ending of ['MD', 'ZIG', 'XLSX', 'HEIC', 'MKV']) await page.waitForSelector(`.composer .thumb-icon:has-text("${ending}")`);
  await page.click('.composer [aria-label="Open notes.md"]');
  assert.match(await page.locator('dialog pre').innerText(), /^# Notes <script>/);
  await page.keyboard.press('Escape');
  await page.click('.composer [aria-label="Open IMG_1.HEIC"]');
  await page.waitForSelector('dialog >> text=This browser cannot show the picture');
  await page.keyboard.press('Escape');
  await page.click('.composer [aria-label="Open old.mkv"]');
  await page.waitForSelector('.stage >> text=This browser cannot play the clip');
  await it.say('clip and more');
  const parts = it.mock.state.requests[0].messages[0].content;
  assert.deepEqual(parts.map((p) => p.type), ['file', 'file', 'file', 'image_url', 'video_url', 'text']);
  assert.match(parts[0].file.file_data, /^data:text\/markdown;base64,/);
  assert.match(parts[3].image_url.url, /^data:image\/heic;base64,/);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await it.close();
});

test('without a camera there is a reason and another way', async () => {
  const setup = (context) => context.addInitScript(() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('none', 'NotFoundError')); });
  const it = await ui.open({ setup });
  await it.page.click('[aria-label="Take a photo"]');
  await it.page.waitForSelector('dialog >> text=No camera was found.');
  await it.page.setInputFiles('dialog input[capture]', asFile('photo.png', picture(8, 8)));
  await it.page.waitForSelector('.composer [aria-label="Open photo.png"]');
  assert.equal(await it.page.locator('dialog').count(), 0);
  await it.close();
});

test('a photo from the camera', async () => {
  const it = await ui.open();
  await it.page.click('[aria-label="Take a photo"]');
  await it.page.click('dialog button:has-text("Take the photo"):not([disabled])');
  await it.page.waitForSelector('.composer .thumb img');
  await it.say('Who is it?');
  assert.match(it.mock.state.requests[0].messages[0].content[0].image_url.url, /^data:image\/jpeg;base64,\/9j\//);
  await it.close();
});

test('what cannot be used is said by name', async () => {
  const it = await ui.open();
  await it.page.setInputFiles('#file-input', [asFile("sound.ogg", Buffer.from([79, 0, 1]), "audio/ogg"), asFile('nothing.png', Buffer.alloc(0))]);
  await it.page.waitForSelector('.toast:has-text("sound.ogg: only pictures, clips and documents")');
  await it.page.waitForSelector('.toast:has-text("nothing.png is empty")');
  await it.close();
});

test('crop and ask: by hand and by numbers', async () => {
  const it = await ui.open();
  const { page } = it;
  await it.add(asFile('big.png', picture(400, 400, [[200, 200, 200, RED]])));
  await page.click('#left [aria-label="Open big.png"]');
  const box = await page.locator('.cropper img').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 2, box.y + box.height - 2, { steps: 4 });
  await page.mouse.up();
  const side = (name) => page.locator(`.crop label:has-text("${name}") input`);
  assert.ok(Math.abs(Number(await side('left').inputValue()) - 500) <= 5);
  await side('left').fill('500');
  await side('top').fill('500');
  await side('right').fill('1000');
  await side('bottom').fill('1000');
  await page.click('text=Ask about this part');
  await page.waitForSelector('.composer [aria-label^="Open big [500 500 1000 1000].png"]');
  await it.say('What colour?');
  const url = it.mock.state.requests[0].messages[0].content[1].image_url.url;
  const size = await page.evaluate(async (u) => { const i = new Image(); i.src = u; await i.decode(); const c = new OffscreenCanvas(i.width, i.height).getContext('2d'); c.drawImage(i, 0, 0); return [i.width, i.height, ...c.getImageData(5, 5, 1, 1).data]; }, url);
  assert.deepEqual(size, [200, 200, 255, 0, 0, 255]);
  await it.close();
});
