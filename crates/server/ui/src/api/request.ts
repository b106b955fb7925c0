// From a conversation to the body of a request, and back from the API's path to the file that it means.
import { modelInfo } from './client';
import { getBlob } from '../state/database';
import { path, type Attachment, type Conversation, type Params } from '../state/tree';

export type Part = Record<string, unknown> & { type: string };
export interface ApiMessage {
  role: string;
  content: string | Part[] | null;
  tool_calls?: unknown;
  tool_call_id?: string;
  reasoning_content?: string;
}
export type Body = { model: string; messages: ApiMessage[] } & Record<string, unknown>;

export interface Built {
  body: Body;
  /** `messages[1].content[0]` to its file. */
  files: Map<string, Attachment>;
}

/** What the fields of numbers take. */
export const RANGES: [key: 'temperature' | 'top_p' | 'top_k' | 'max_tokens' | 'seed', least: number, most: number, step: number][] = [
  ['temperature', 0, 2, 0.1], ['top_p', 0, 1, 0.05], ['top_k', -1, Infinity, 1], ['max_tokens', 1, Infinity, 1], ['seed', -Infinity, Infinity, 1],
];

/** What makes the settings unusable, by field. */
export function problems(p: Params): Partial<Record<keyof Params, string>> {
  const found: Partial<Record<keyof Params, string>> = {};
  const json = (key: 'tools' | 'schema', fits: (v: unknown) => boolean) => {
    if (!p[key].trim()) return;
    try {
      if (!fits(JSON.parse(p[key]))) found[key] = 'shape';
    } catch (error) {
      found[key] = String((error as Error).message);
    }
  };
  for (const [key, least, most] of RANGES) {
    const n = Number(p[key]);
    if (p[key].trim() && !(n >= least && n <= most && (key === 'temperature' || key === 'top_p' || Number.isInteger(n)))) found[key] = 'range';
  }
  json('tools', Array.isArray);
  if (p.format === 'json_schema') {
    json('schema', (v) => typeof v === 'object' && v !== null && !Array.isArray(v));
    if (!p.schema.trim()) found.schema = 'shape';
  }
  return found;
}

/** The request's settings; what was left empty is left out, and the server's default holds. */
export function settings(p: Params): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const key of ['temperature', 'top_p', 'top_k', 'max_tokens', 'seed'] as const) {
    const value = p[key].trim();
    if (value !== '' && Number.isFinite(Number(value))) body[key] = Number(value);
  }
  const stop = p.stop.split('\n').filter((line) => line !== '');
  if (stop.length) body.stop = stop;
  const bad = problems(p);
  if (p.format === 'json_object') body.response_format = { type: 'json_object' };
  if (p.format === 'json_schema' && !bad.schema) body.response_format = { type: 'json_schema', json_schema: { name: 'answer', schema: JSON.parse(p.schema) } };
  if (p.tools.trim() && !bad.tools && JSON.parse(p.tools).length) body.tools = JSON.parse(p.tools);
  return body;
}

/** How a file is written into a request: its bytes, or (for code to copy) something that stands for them. */
export type Encode = (a: Attachment) => Promise<string>;

/** The browser has a file's name and no more its bytes: its storage was cleared, or another browser saved the conversation. */
export class Gone extends Error {
  constructor(readonly file: string) {
    super(file);
  }
}

export const dataUrl: Encode = async (a) => {
  const blob = await getBlob(a.id).catch(() => undefined);
  if (!blob) throw new Gone(a.name);
  return readAsDataUrl(blob.type === a.type ? blob : new Blob([blob], { type: a.type }));
};

export function readAsDataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function part(a: Attachment, detail: Params['detail'], encode: Encode): Promise<Part> {
  const url = a.url ?? (await encode(a));
  if (a.kind === 'video') return { type: 'video_url', video_url: { url } };
  if (a.kind === 'pdf' || a.kind === 'file') return { type: 'file', file: a.url ? { file_url: url } : { filename: a.name, file_data: url } };
  return { type: 'image_url', image_url: detail === 'auto' ? { url } : { url, detail } };
}

/** The request for the answer below `leaf`; with `resume`, one that goes on with the answer `leaf` itself. */
export async function build(c: Conversation, leaf: string, p: Params, options: { resume?: boolean; encode?: Encode } = {}): Promise<Built> {
  const messages: ApiMessage[] = [];
  const files = new Map<string, Attachment>();
  if (p.system.trim()) messages.push({ role: 'system', content: p.system });
  for (const turn of path(c, leaf)) {
    if (turn.role === 'tool') {
      for (const r of turn.toolResults ?? []) messages.push({ role: 'tool', tool_call_id: r.id, content: r.content });
    } else if (turn.role === 'user') {
      const parts: Part[] = [];
      for (const a of turn.attachments ?? []) {
        files.set(`messages[${messages.length}].content[${parts.length}]`, a);
        parts.push(await part(a, p.detail, options.encode ?? dataUrl));
      }
      if (turn.text) parts.push({ type: 'text', text: turn.text });
      messages.push({ role: 'user', content: parts.length === 1 && parts[0].type === 'text' ? turn.text : parts });
    } else if (turn.toolCalls?.length) {
      const calls = turn.toolCalls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }));
      messages.push({ role: 'assistant', content: turn.text || null, tool_calls: calls });
    } else if (turn.text || turn.id !== leaf) {
      messages.push({ role: 'assistant', content: turn.text });
    }
  }
  const body: Body = {
    model: p.model || modelInfo('')?.id || 'gpt-4o',
    messages,
    ...settings(p),
    stream: true,
    stream_options: { include_usage: true },
  };
  if (options.resume) Object.assign(body, { continue_final_message: true, add_generation_prompt: false });
  return { body, files };
}

/** The file that an error's `param` points into. */
export function fileAt(files: Map<string, Attachment>, param: string | undefined): Attachment | undefined {
  const place = param?.match(/^messages\[\d+\]\.content\[\d+\]/)?.[0];
  return place ? files.get(place) : undefined;
}
