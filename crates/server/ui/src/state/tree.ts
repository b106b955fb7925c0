// A conversation is a tree: editing a question or asking again adds a branch, and nothing is lost.

/** `file`: a document that has no pages to look at (office, text). */
export type Kind = 'image' | 'video' | 'pdf' | 'file';

export interface Attachment {
  id: string;
  kind: Kind;
  name: string;
  /** MIME type. */
  type: string;
  size: number;
  /** Set for a picture by address, which the server fetches and this page never does. */
  url?: string;
  width?: number;
  height?: number;
}

export interface ToolCall {
  id: string;
  name: string;
  arguments: string;
}

export interface ToolResult {
  id: string;
  content: string;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number; image_tokens?: number; video_tokens?: number };
  completion_tokens_details?: { reasoning_tokens?: number };
}

export interface Stats {
  /** Milliseconds to the first token. */
  first?: number;
  /** Tokens a second after the first. */
  speed?: number;
  usage?: Usage;
}

/** What went wrong, kept as the server said it; `text/errors.ts` puts it into words. */
export interface Failure {
  kind: 'api' | 'network' | 'gone';
  status?: number;
  code?: string;
  message: string;
  param?: string;
  /** The file that the server's path points at. */
  file?: string;
}

export type Status = 'waiting' | 'streaming' | 'busy' | 'reconnecting' | 'done' | 'stopped' | 'failed';

/** What the model saw of a part (`vlgate.media` of an answer). */
export interface Seen {
  /** The file's name here. */
  name?: string;
  param: string;
  type?: string;
  format: string;
  codec?: string;
  size?: number[];
  size_seen?: number[];
  tokens: number;
  frames?: { index: number; time: number }[];
  pages?: { page: number }[];
  pages_total?: number;
  cached: boolean;
}

export interface Turn {
  id: string;
  parent: string | null;
  role: 'user' | 'assistant' | 'tool';
  text: string;
  at: number;
  attachments?: Attachment[];
  reasoning?: string;
  toolCalls?: ToolCall[];
  toolResults?: ToolResult[];
  status?: Status;
  finish?: string;
  failure?: Failure;
  stats?: Stats;
  seen?: Seen[];
  /** The settings that this answer was asked with. */
  params?: Params;
}

export interface Params {
  model: string;
  system: string;
  temperature: string;
  top_p: string;
  top_k: string;
  max_tokens: string;
  seed: string;
  stop: string;
  detail: 'auto' | 'low' | 'high';
  format: 'text' | 'json_object' | 'json_schema';
  schema: string;
  tools: string;
}

export interface Conversation {
  id: string;
  title: string;
  /** Whether a person chose the title. */
  named?: boolean;
  at: number;
  turns: Record<string, Turn>;
  leaf: string | null;
}

export const newId = (): string => crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

export const emptyConversation = (): Conversation => ({ id: newId(), title: '', at: Date.now(), turns: {}, leaf: null });

/** The turns from the first to `leaf`. */
export function path(c: Conversation, leaf: string | null = c.leaf): Turn[] {
  const turns: Turn[] = [];
  const seen = new Set<string>();
  for (let id = leaf; id && c.turns[id] && !seen.has(id); id = c.turns[id].parent) {
    seen.add(id);
    turns.unshift(c.turns[id]);
  }
  return turns;
}

/** A turn and its alternatives, oldest first. */
export function siblings(c: Conversation, turn: Turn): Turn[] {
  return Object.values(c.turns).filter((t) => t.parent === turn.parent).sort((a, b) => a.at - b.at);
}

/** The newest end below a turn. */
export function newestLeaf(c: Conversation, from: string): string {
  for (let id = from; ; ) {
    const next = Object.values(c.turns).filter((t) => t.parent === id).sort((a, b) => b.at - a.at)[0];
    if (!next) return id;
    id = next.id;
  }
}

export function withTurn(c: Conversation, turn: Turn, leaf = c.leaf): Conversation {
  return { ...c, turns: { ...c.turns, [turn.id]: turn }, leaf };
}

/** Every file of a conversation, once. */
export function attachmentsOf(turns: Turn[]): Attachment[] {
  const all = new Map<string, Attachment>();
  for (const turn of turns) for (const a of turn.attachments ?? []) all.set(a.id, a);
  return [...all.values()];
}

/** The title of a conversation that nobody named: how it begins. */
export function titleOf(c: Conversation): string {
  const first = path(c)[0] ?? Object.values(c.turns).find((t) => !t.parent);
  return (first?.text || first?.attachments?.[0]?.name || '').replace(/\s+/g, ' ').trim().slice(0, 60);
}
