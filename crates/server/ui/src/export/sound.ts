// A conversation from a file, which may come from anywhere: what has not the page's own shape is left out.
import { DEFAULTS } from '../state/settings';
import { newId, type Attachment, type Conversation, type Failure, type Params, type Seen, type Stats, type ToolCall, type ToolResult, type Turn, type Usage } from '../state/tree';

type Loose = Record<string, unknown>;

const isObject = (v: unknown): v is Loose => typeof v === 'object' && v !== null && !Array.isArray(v);
const list = (v: unknown): Loose[] | undefined => { const found = Array.isArray(v) ? v.filter(isObject) : []; return found.length ? found : undefined; };
const text = (v: unknown): string => (typeof v === 'string' ? v : '');
const maybe = (v: unknown): string | undefined => (typeof v === 'string' ? v : undefined);
const number = (v: unknown): number | undefined => (typeof v === 'number' && Number.isFinite(v) ? v : undefined);
const numbers = (v: unknown): number[] | undefined => (Array.isArray(v) ? v.filter((n) => number(n) !== undefined) : undefined);
const oneOf = <T extends string>(v: unknown, all: readonly T[]): T | undefined => all.find((one) => one === v);

export function sound(from: unknown): Conversation {
  const c = isObject(from) ? from : {};
  const old = isObject(c.turns) ? Object.entries(c.turns) : [];
  const ids = new Map(old.map(([id]) => [id, newId()]));
  const turns: Record<string, Turn> = {};
  // A turn comes behind its parent, so that there is no circle to run round in.
  let waiting = old.flatMap(([id, t]) => (isObject(t) ? [[id, t] as const] : []));
  for (let n = -1; n !== waiting.length; ) {
    n = waiting.length;
    waiting = waiting.filter(([id, t]) => {
      const parent = maybe(t.parent) === undefined ? null : ids.get(text(t.parent));
      if (parent === undefined || (parent && !turns[parent])) return true;
      const turn = soundTurn(t, ids.get(id)!, parent);
      if (turn) turns[turn.id] = turn;
      return false;
    });
  }
  const leaf = ids.get(text(c.leaf));
  return { id: newId(), title: text(c.title), named: c.named === true || undefined, at: number(c.at) ?? Date.now(), turns, leaf: leaf && turns[leaf] ? leaf : Object.keys(turns).at(-1) ?? null };
}

function soundTurn(t: Loose, id: string, parent: string | null): Turn | undefined {
  const role = oneOf(t.role, ['user', 'assistant', 'tool'] as const);
  if (!role) return undefined;
  return {
    id, parent, role, text: text(t.text), at: number(t.at) ?? Date.now(), reasoning: maybe(t.reasoning), finish: maybe(t.finish),
    // Nobody is answering it any more.
    status: role === 'assistant' ? oneOf(t.status, ['done', 'failed'] as const) ?? 'stopped' : undefined,
    attachments: list(t.attachments)?.flatMap((a) => soundFile(a) ?? []),
    toolCalls: list(t.toolCalls)?.map((x): ToolCall => ({ id: text(x.id), name: text(x.name), arguments: text(x.arguments) })),
    toolResults: list(t.toolResults)?.map((x): ToolResult => ({ id: text(x.id), content: text(x.content) })),
    failure: isObject(t.failure) ? soundFailure(t.failure) : undefined,
    stats: isObject(t.stats) ? soundStats(t.stats) : undefined,
    seen: list(t.seen)?.map(soundSeen),
    params: isObject(t.params) ? soundParams(t.params) : undefined,
  };
}

function soundFile(a: Loose): Attachment | undefined {
  const kind = oneOf(a.kind, ['image', 'video', 'pdf', 'file'] as const);
  const url = maybe(a.url);
  if (!kind || !maybe(a.id) || (url && !/^https?:\/\//i.test(url))) return undefined;
  return { id: text(a.id), kind, name: text(a.name) || kind, type: text(a.type), size: number(a.size) ?? 0, url, width: number(a.width), height: number(a.height) };
}

const soundFailure = (f: Loose): Failure => ({ kind: oneOf(f.kind, ['api', 'network', 'gone'] as const) ?? 'api', status: number(f.status), code: maybe(f.code), message: text(f.message), param: maybe(f.param), file: maybe(f.file) });

function soundStats(s: Loose): Stats {
  const u = isObject(s.usage) ? s.usage : undefined;
  const within = (v: unknown) => (isObject(v) ? Object.fromEntries(Object.entries(v).filter(([, n]) => number(n) !== undefined)) : undefined);
  const usage: Usage | undefined = u && { prompt_tokens: number(u.prompt_tokens) ?? 0, completion_tokens: number(u.completion_tokens) ?? 0, total_tokens: number(u.total_tokens) ?? 0, prompt_tokens_details: within(u.prompt_tokens_details), completion_tokens_details: within(u.completion_tokens_details) };
  return { first: number(s.first), speed: number(s.speed), usage };
}

const soundSeen = (n: Loose): Seen => ({
  name: maybe(n.name), type: maybe(n.type), param: text(n.param), format: text(n.format), codec: maybe(n.codec), size: numbers(n.size), size_seen: numbers(n.size_seen), tokens: number(n.tokens) ?? 0, cached: n.cached === true,
  frames: list(n.frames)?.map((f) => ({ index: number(f.index) ?? 0, time: number(f.time) ?? 0 })), pages: list(n.pages)?.map((p) => ({ page: number(p.page) ?? 0 })), pages_total: number(n.pages_total),
});

function soundParams(p: Loose): Params {
  const texts = Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, text(p[key])]));
  return { ...DEFAULTS, ...texts, detail: oneOf(p.detail, ['auto', 'low', 'high'] as const) ?? 'auto', format: oneOf(p.format, ['text', 'json_object', 'json_schema'] as const) ?? 'text' };
}
