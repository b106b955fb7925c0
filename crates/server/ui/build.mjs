// Builds the page into dist/, each file beside its brotli and gzip form. The same sources give the same bytes.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = process.argv[2] ?? join(here, 'dist');
const LIMIT = 600 * 1024;

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  metafile: true,
  outdir: dist,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  publicPath: '/ui/',
  target: ['es2022', 'chrome123', 'firefox120', 'safari17.5'],
  loader: { '.woff2': 'file', '.png': 'file' },
  legalComments: 'none',
  logLevel: 'warning',
};

const output = (result, entry) => {
  const found = Object.entries(result.metafile.outputs).find(([, o]) => o.entryPoint?.endsWith(entry));
  return basename(found[0]);
};

// Every browser that knows this page's CSS reads WOFF2: the two older forms of each font would only weigh.
const fonts = {
  name: 'woff2-only',
  setup: (b) => b.onLoad({ filter: /katex\.css$/ }, (args) => {
    const css = readFileSync(args.path, 'utf8').replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)/g, '');
    return { contents: css, loader: 'css' };
  }),
};

const math = await build({ ...shared, entryPoints: ['node_modules/katex/dist/katex.css'], plugins: [fonts] });
const app = await build({
  ...shared,
  entryPoints: ['src/main.tsx', 'src/style/page.css'],
  format: 'esm',
  splitting: true,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  define: { KATEX_CSS: JSON.stringify(`/ui/${output(math, 'katex.css')}`) },
});
const frame = await build({ ...shared, entryPoints: ['src/frame.ts'], format: 'iife' });

const page = readFileSync(join(here, 'src/index.html'), 'utf8')
  .replace('{{script}}', `/ui/${output(app, 'main.tsx')}`)
  .replace('{{style}}', `/ui/${output(app, 'page.css')}`);
writeFileSync(join(dist, 'index.html'), page);
writeFileSync(join(dist, 'preview.html'), `<!doctype html><meta charset="utf-8"><title>Preview</title><script>${readFileSync(join(dist, output(frame, 'frame.ts')), 'utf8').trim()}</script>\n`);
rmSync(join(dist, output(frame, 'frame.ts')));

// The libraries that are built in want their licences to go along.
const inputs = [math, app].flatMap((r) => Object.keys(r.metafile.inputs));
const packages = [...new Set(inputs.map((i) => i.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean))].sort();
const licences = packages.map((name) => {
  const at = join(here, 'node_modules', name);
  const file = readdirSync(at).find((f) => /^licen[cs]e/i.test(f));
  return `${name} ${JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')).version}\n\n${file ? readFileSync(join(at, file), 'utf8').trim() : JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')).license}\n`;
});
writeFileSync(join(dist, 'licences.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));

const TYPES = { txt: 'text/plain; charset=utf-8', html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', woff2: 'font/woff2', png: 'image/png' };
const rows = [];
let total = 0;
for (const name of readdirSync(dist).sort()) {
  const bytes = readFileSync(join(dist, name));
  const packed = !/\.(woff2|png)$/.test(name);
  const tag = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const embed = (ending) => `Some(include_bytes!("${name}.${ending}"))`;
  rows.push(`File { name: "${name}", kind: "${TYPES[name.split('.').pop()]}", tag: "\\"${tag}\\"", plain: include_bytes!("${name}"), brotli: ${packed ? embed('br') : 'None'}, gzip: ${packed ? embed('gz') : 'None'} }`);
  if (!packed) {
    total += bytes.length;
    continue;
  }
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  writeFileSync(join(dist, `${name}.br`), brotli);
  writeFileSync(join(dist, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  total += brotli.length;
  console.log(`${String(bytes.length).padStart(8)} ${String(brotli.length).padStart(7)} br  ${name}`);
}
// What the server embeds; page.rs includes this list.
writeFileSync(join(dist, 'files.rs'), `&[\n    ${rows.join(',\n    ')},\n]\n`);
console.log(`${(total / 1024).toFixed(0)} KiB compressed in all`);
if (total > LIMIT) {
  console.error(`more than ${LIMIT / 1024} KiB`);
  process.exit(1);
}
