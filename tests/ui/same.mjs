// Whether two builds are the same. Packed files are compared unpacked: another Node may pack them otherwise.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

const [fresh, kept] = process.argv.slice(2);
const open = (dir, name) => {
  const bytes = readFileSync(join(dir, name));
  return name.endsWith('.br') ? brotliDecompressSync(bytes) : name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
};
const [a, b] = [fresh, kept].map((dir) => readdirSync(dir).sort());
const wrong = [...new Set([...a, ...b])].filter((name) => !a.includes(name) || !b.includes(name) || !open(fresh, name).equals(open(kept, name)));
if (wrong.length) {
  console.error(`crates/server/ui/dist is not what its sources give; run \`npm run build\` in crates/server/ui.\n  ${wrong.join('\n  ')}`);
  process.exit(1);
}
