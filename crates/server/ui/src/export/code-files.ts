// Every code block of a conversation as a file: named as the answer names it, or by its place and language.
import { strToU8, zipSync } from 'fflate';
import { codeBlocks, languageOf, type CodeBlock } from '../text/markdown';
import type { Turn } from '../state/tree';

const ENDINGS: Record<string, string> = {
  bash: 'sh', sh: 'sh', shell: 'sh', zsh: 'sh', javascript: 'js', js: 'js', jsx: 'jsx', typescript: 'ts', ts: 'ts', tsx: 'tsx', python: 'py', py: 'py',
  rust: 'rs', rs: 'rs', html: 'html', xml: 'xml', svg: 'svg', css: 'css', json: 'json', yaml: 'yaml', yml: 'yaml', toml: 'toml', markdown: 'md', md: 'md',
  sql: 'sql', 'c++': 'cpp', cpp: 'cpp', c: 'c', java: 'java', go: 'go', csv: 'csv', dockerfile: 'Dockerfile', latex: 'tex', tex: 'tex',
};
const NAME = String.raw`([\w\-./]+\.[A-Za-z0-9]{1,8}|Dockerfile|Makefile)`;

/** A relative path without steps upwards, or nothing. */
function safe(name: string): string | undefined {
  const steps = name.replace(/\\/g, '/').split('/').filter((s) => s !== '' && s !== '.');
  return steps.length && steps.every((s) => s !== '..' && /^[\w\-.]+$/.test(s)) ? steps.join('/') : undefined;
}

function named(block: CodeBlock): string | undefined {
  const info = block.info.match(new RegExp(String.raw`(?:title|filename|file)=["']?${NAME}|^[\w+#-]*[:\s]\s*${NAME}`));
  const firstLine = block.content.split('\n', 1)[0].match(new RegExp(String.raw`^\s*(?://|#|--|/\*|<!--)\s*(?:file(?:name)?:\s*)?${NAME}\s*(?:\*/|-->)?\s*$`, 'i'));
  const before = block.before.match(new RegExp('[`*]+' + NAME + '[`*]+\\s*:?\\s*$'));
  const name = info?.[1] ?? info?.[2] ?? firstLine?.[1] ?? before?.[1];
  return name && safe(name);
}

export interface CodeFile {
  name: string;
  content: string;
}

export function codeFiles(turns: Turn[]): CodeFile[] {
  const files: CodeFile[] = [];
  const taken = new Set<string>();
  let answer = 0;
  for (const turn of turns) {
    if (turn.role !== 'assistant') continue;
    answer++;
    codeBlocks(turn.text).forEach((block, i) => {
      const ending = ENDINGS[languageOf(block.info)] ?? 'txt';
      let name = named(block) ?? (ending === 'Dockerfile' ? ending : `answer-${answer}-${i + 1}.${ending}`);
      // A later version of the same file stands beside the earlier one.
      for (let n = 2; taken.has(name.toLowerCase()); n++) name = name.replace(/(?:-v\d+)?(\.\w+)?$/, `-v${n}$1`);
      taken.add(name.toLowerCase());
      files.push({ name, content: block.content });
    });
  }
  return files;
}

export function zip(files: CodeFile[]): Blob {
  const entries = Object.fromEntries(files.map((f) => [f.name, strToU8(f.content)]));
  return new Blob([zipSync(entries, { level: 6 }) as Uint8Array<ArrayBuffer>], { type: 'application/zip' });
}
