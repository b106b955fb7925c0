// Takes the pictures in crates/server/ui/screenshots.
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { startMock } from './mock.mjs';
import { asFile, clip, pdf, picture } from './page.mjs';

const out = new URL('../../crates/server/ui/screenshots/', import.meta.url).pathname;
const mock = await startMock();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', ...options });
  const page = await context.newPage();
  await page.goto(mock.address);
  await page.waitForSelector('.samples img');
  const say = async (text, ...files) => {
    if (files.length) {
      await page.setInputFiles('#file-input', files);
      await page.waitForSelector('.composer .thumb');
    }
    const before = await page.locator('.turn').count();
    await page.fill('#question', text);
    await page.press('#question', 'Enter');
    await page.waitForFunction((n) => document.querySelectorAll('.turn').length === n + 2 && document.querySelector('.turn:last-child').getAttribute('aria-busy') === 'false', before);
    await page.waitForTimeout(400);
  };
  const shot = async (name) => {
    await page.waitForTimeout(300);
    const raw = `${tmpdir()}/${name}.png`;
    await page.screenshot({ path: raw });
    // A third of the size with a palette of its own.
    await promisify(execFile)('ffmpeg', ['-v', 'error', '-y', '-i', raw, '-vf', 'split[a][b];[a]palettegen=max_colors=96:reserve_transparent=0[p];[b][p]paletteuse=dither=none', '-compression_level', '9', `${out}${name}.png`]);
  };
  return { page, say, shot, context };
}

const squares = asFile('squares.png', picture(640, 480, [[70, 102, 180, [214, 69, 65]], [326, 246, 180, [52, 102, 204]]]));
{
  const { page, say, shot, context } = await open();
  await shot('first-run');
  await say('boxes: where are the squares?', squares);
  await page.hover('.chip >> nth=1');
  await shot('boxes');
  await page.click('.chip >> nth=1');
  await shot('crop');
  await page.keyboard.press('Escape');
  await say('rich, please');
  await say('code, please');
  await shot('code');
  await page.click('[data-act="preview"]');
  await page.waitForTimeout(500);
  await shot('preview');
  await page.keyboard.press('Escape');
  await page.click('footer >> text=Request as code');
  await page.click('dialog .tabs >> text=Python');
  await shot('request');
  await context.close();
}
{
  const { page, say, shot, context } = await open({ colorScheme: 'dark' });
  await say('when does it fall?', clip);
  await page.click('.jump >> nth=1');
  await page.waitForTimeout(600);
  await shot('clip-dark');
  await page.click('.seen summary');
  await page.click('.stage [aria-label="Close"]');
  await shot('clip-seen');
  await say('think: where in the document', pdf);
  await say('weather?');
  await say('bad picture', squares, asFile('broken.png', picture(9, 9)));
  await shot('errors-dark');
  await page.click('.tabs >> text=Server');
  await page.waitForTimeout(Number(process.env.WATCH ?? 60_000));
  await shot('server-dark');
  await context.close();
}
{
  const { page, say, shot, context } = await open({ viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, locale: 'zh-CN' });
  await say('boxes 方块在哪里？', squares);
  await shot('phone-zh');
  await page.tap('.bar button >> nth=0');
  await shot('phone-files-zh');
  await context.close();
}
await browser.close();
await mock.close();
