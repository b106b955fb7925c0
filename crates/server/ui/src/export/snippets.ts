// The very request as code: curl with every byte in it, Python and JavaScript with the files read from disk.
import { build, type Body } from '../api/request';
import type { Attachment, Conversation, Params } from '../state/tree';

export type Language = 'curl' | 'python' | 'javascript';

const origin = (): string => location.origin;
const MARK = '\u0000file:';

export async function snippet(language: Language, c: Conversation, leaf: string, p: Params): Promise<string> {
  if (language === 'curl') {
    const { body } = await build(c, leaf, p);
    return [
      `curl -N ${origin()}/v1/chat/completions \\`,
      `  -H 'content-type: application/json' \\`,
      `  -H "authorization: Bearer \${VLGATE_API_KEY:-none}" \\`,
      `  --data-binary @- <<'JSON'`,
      JSON.stringify(body),
      'JSON',
      '',
    ].join('\n');
  }
  const used = new Map<string, Attachment>();
  const { body } = await build(c, leaf, p, {
    encode: async (a) => {
      used.set(a.name, a);
      return `${MARK}${a.type}:${a.name}`;
    },
  });
  return language === 'python' ? python(body, used.size > 0) : javascript(body, used.size > 0);
}

// What OpenAI's SDK for Python has no argument for.
const EXTRA = ['top_k', 'continue_final_message', 'add_generation_prompt'];

function python(body: Body, files: boolean): string {
  const { stream: _, stream_options, ...rest } = body;
  const extra = Object.fromEntries(Object.entries(rest).filter(([k]) => EXTRA.includes(k)));
  const plain: Record<string, unknown> = Object.fromEntries(Object.entries(rest).filter(([k]) => !EXTRA.includes(k)));
  if (Object.keys(extra).length) plain.extra_body = extra;
  const fields = Object.entries({ ...plain, stream: true, stream_options }).map(([k, v]) => `    ${k}=${pythonValue(v, 1)},`);
  const helper = [
    'def data_url(kind, path):', '    with open(path, "rb") as file:',
    '        return f"data:{kind};base64,{base64.b64encode(file.read()).decode()}"', '', '',
  ];
  return [
    ...(files ? ['import base64'] : []), 'import os', '', 'from openai import OpenAI', '',
    ...(files ? ['', ...helper] : []),
    `client = OpenAI(base_url="${origin()}/v1", api_key=os.environ.get("VLGATE_API_KEY", "none"))`,
    'stream = client.chat.completions.create(', ...fields, ')',
    'for chunk in stream:', '    if chunk.choices and chunk.choices[0].delta.content:', '        print(chunk.choices[0].delta.content, end="", flush=True)', 'print()', '',
  ].join('\n');
}

function pythonValue(value: unknown, depth: number): string {
  const pad = '    '.repeat(depth + 1);
  const end = '    '.repeat(depth);
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return fileCall(value, 'data_url') ?? JSON.stringify(value);
  if (typeof value !== 'object') return String(value);
  const items = Array.isArray(value) ? value.map((v) => pythonValue(v, depth + 1)) : Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${pythonValue(v, depth + 1)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  const line = `${open}${items.join(', ')}${close}`;
  return line.length < 90 && !line.includes('\n') ? line : `${open}\n${items.map((i) => `${pad}${i},`).join('\n')}\n${end}${close}`;
}

function fileCall(value: string, name: string): string | undefined {
  if (!value.startsWith(MARK)) return undefined;
  const [type, ...rest] = value.slice(MARK.length).split(':');
  return `${name}(${JSON.stringify(type)}, ${JSON.stringify(rest.join(':'))})`;
}

function javascript(body: Body, files: boolean): string {
  const json = JSON.stringify(body, null, 2).replace(/"\\u0000file:(?:[^"\\]|\\.)*"/g, (quoted) => fileCall(JSON.parse(quoted), 'dataUrl') ?? quoted);
  return [
    ...(files ? ['import { readFileSync } from "node:fs";'] : []), 'import OpenAI from "openai";', '',
    ...(files ? ['const dataUrl = (kind, path) => `data:${kind};base64,${readFileSync(path, "base64")}`;'] : []),
    `const client = new OpenAI({ baseURL: "${origin()}/v1", apiKey: process.env.VLGATE_API_KEY ?? "none" });`,
    `const stream = await client.chat.completions.create(${json});`,
    'for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");', 'console.log();', '',
  ].join('\n');
}
