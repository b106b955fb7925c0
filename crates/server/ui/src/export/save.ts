// Conversations as a file and back: JSON with the bytes of their files, or Markdown to read.
import { dataUrl } from '../api/request';
import { getBlob, putBlob } from '../state/database';
import { attachmentsOf, path, newId, type Conversation } from '../state/tree';
import { sound } from './sound';

const FORMAT = 'vlgate-conversations';

interface Saved {
  format: typeof FORMAT;
  version: 1;
  conversations: Conversation[];
  /** Data URLs by file id. */
  files: Record<string, string>;
}

export async function toJson(conversations: Conversation[]): Promise<Blob> {
  const files: Record<string, string> = {};
  for (const a of conversations.flatMap((c) => attachmentsOf(Object.values(c.turns)))) {
    if (!a.url && (await getBlob(a.id))) files[a.id] = await dataUrl(a);
  }
  const saved: Saved = { format: FORMAT, version: 1, conversations, files };
  return new Blob([JSON.stringify(saved, null, 1)], { type: 'application/json' });
}

/** Reads a saved file. Everything gets new ids, so that what is there stays as it is. */
export async function fromJson(text: string): Promise<Conversation[]> {
  const saved = JSON.parse(text) as Partial<Saved>;
  if (saved.format !== FORMAT || !Array.isArray(saved.conversations)) throw new Error('not a file of this page');
  const conversations = saved.conversations.map(sound).filter((c) => c.leaf);
  if (!conversations.length) throw new Error('nothing in it');
  const ids = new Map<string, string>();
  for (const [id, url] of Object.entries(saved.files ?? {})) {
    const blob = decode(url);
    if (!blob) continue;
    ids.set(id, newId());
    await putBlob(ids.get(id)!, blob);
  }
  for (const turn of conversations.flatMap((c) => Object.values(c.turns))) for (const a of turn.attachments ?? []) a.id = ids.get(a.id) ?? newId();
  return conversations;
}

// Not by fetch: the page's policy lets it connect to its own server alone.
function decode(url: string): Blob | undefined {
  const m = typeof url === 'string' && url.match(/^data:([\w.+-]+\/[\w.+-]+);base64,/);
  if (!m) return undefined;
  const binary = atob(url.slice(m[0].length));
  return new Blob([Uint8Array.from(binary, (ch) => ch.charCodeAt(0))], { type: m[1] });
}

export function toMarkdown(c: Conversation): string {
  const lines = [`# ${c.title || 'Conversation'}`, ''];
  for (const turn of path(c)) {
    lines.push(`## ${turn.role}`, '');
    for (const a of turn.attachments ?? []) lines.push(`- ${a.kind}: ${a.url ?? a.name}${a.width ? ` (${a.width}×${a.height})` : ''}`, '');
    if (turn.reasoning) lines.push(...turn.reasoning.split('\n').map((l) => `> ${l}`), '');
    if (turn.text) lines.push(turn.text, '');
    for (const call of turn.toolCalls ?? []) lines.push('```json', JSON.stringify({ name: call.name, arguments: call.arguments }), '```', '');
    for (const r of turn.toolResults ?? []) lines.push('```', r.content, '```', '');
  }
  return lines.join('\n');
}
