// All conversations, and the one on the screen.
import { computed, effect, signal, type Signal } from '@preact/signals';
import * as database from './database';
import { remember, remembered } from './settings';
import { attachmentsOf, emptyConversation, titleOf, type Attachment, type Conversation, type Turn } from './tree';

/** Each conversation has its own signal: an answer goes on arriving while another conversation is open. */
const open = new Map<string, Signal<Conversation>>();
const version = signal(0);
const first = emptyConversation();
open.set(first.id, signal(first));

export const currentId = signal(first.id);
export const search = signal('');

/** The question that is being written and its files; a reload keeps them. */
export const draft = signal(remembered('draft', ''));
export const pending = signal<Attachment[]>(remembered('pending', []));
effect(() => remember('draft', draft.value));
effect(() => remember('pending', pending.value.length ? pending.value : ''));

export const current = computed<Signal<Conversation>>(() => {
  void version.value;
  return open.get(currentId.value) ?? signal(emptyConversation());
});

export const listed = computed<Conversation[]>(() => {
  void version.value;
  const wanted = search.value.trim().toLowerCase();
  const all = [...open.values()].map((s) => s.value).filter((c) => c.leaf);
  const found = wanted ? all.filter((c) => `${c.title} ${Object.values(c.turns).map((t) => t.text).join(' ')}`.toLowerCase().includes(wanted)) : all;
  return found.sort((a, b) => b.at - a.at);
});

export function signalOf(id: string): Signal<Conversation> | undefined {
  return open.get(id);
}

const waiting = new Map<string, ReturnType<typeof setTimeout>>();

/** Saves soon, and three times a second while it goes on changing: a reload in the middle of an answer keeps what was there. */
function save(c: Signal<Conversation>): void {
  const id = c.peek().id;
  if (!waiting.has(id)) waiting.set(id, setTimeout(() => write(id), 300));
}

function write(id: string): void {
  clearTimeout(waiting.get(id));
  waiting.delete(id);
  const c = open.get(id)?.peek();
  if (c?.leaf) void database.putConversation(c);
}

const writeAll = () => [...waiting.keys()].forEach(write);
addEventListener('pagehide', writeAll);
document.addEventListener('visibilitychange', () => { if (document.hidden) writeAll(); });

export function change(c: Signal<Conversation>, how: (c: Conversation) => Conversation): void {
  const next = how(c.peek());
  c.value = next.named ? next : { ...next, title: titleOf(next) || next.title };
  save(c);
}

export function changeTurn(c: Signal<Conversation>, id: string, how: (t: Turn) => Turn): void {
  const turn = c.peek().turns[id];
  if (turn) change(c, (v) => ({ ...v, turns: { ...v.turns, [id]: how(turn) } }));
}

/** Reads what the browser kept; an answer that was cut off by leaving the page can be continued. */
export async function load(): Promise<void> {
  for (const c of await database.allConversations().catch(() => [])) {
    for (const turn of Object.values(c.turns)) {
      if (turn.role === 'assistant' && !['done', 'failed', 'stopped'].includes(turn.status ?? 'done')) turn.status = 'stopped';
    }
    open.set(c.id, signal(c));
  }
  version.value++;
  // A reload comes back to what was open in this tab.
  const before = remembered('open', '');
  if (open.has(before) && !current.peek().peek().leaf) currentId.value = before;
  effect(() => remember('open', currentId.value));
  void sweepLost();
}

/** Files that no conversation has any more. Only while no other tab may be about to send them. */
async function sweepLost(): Promise<void> {
  await navigator.locks?.request('vlgate', { mode: 'exclusive', ifAvailable: true }, async (alone) => {
    if (!alone) return;
    const used = usedFiles();
    for (const id of await database.allBlobs().catch(() => [])) if (!used.has(id)) await database.dropBlob(id);
  });
  // Held as long as the page is open.
  void navigator.locks?.request('vlgate', { mode: 'shared' }, () => new Promise(() => {}));
}

function usedFiles(): Set<string> {
  const sent = [...open.values()].flatMap((s) => attachmentsOf(Object.values(s.peek().turns)));
  return new Set([...sent, ...pending.peek()].map((a) => a.id));
}

export function start(): void {
  const empty = [...open.values()].find((s) => !s.value.leaf);
  const c = empty ?? signal(emptyConversation());
  open.set(c.value.id, c);
  version.value++;
  currentId.value = c.value.id;
}

export function add(c: Conversation): void {
  const s = signal(c);
  open.set(c.id, s);
  version.value++;
  currentId.value = c.id;
  save(s);
}

/** Takes a conversation away and returns how to bring it back. Its files go when the page is left with it gone. */
export function remove(id: string): () => void {
  const c = open.get(id);
  open.delete(id);
  void database.dropConversation(id).catch(() => {});
  version.value++;
  if (currentId.value === id) start();
  let gone = true;
  const sweep = setTimeout(() => {
    if (!gone || !c) return;
    const used = usedFiles();
    for (const a of attachmentsOf(Object.values(c.peek().turns))) if (!used.has(a.id)) void database.dropBlob(a.id);
  }, 30_000);
  return () => {
    gone = false;
    clearTimeout(sweep);
    if (c) add(c.peek());
  };
}

export function rename(id: string, title: string): void {
  const c = open.get(id);
  if (c) change(c, (v) => ({ ...v, title: title.trim(), named: title.trim() !== '' }));
  version.value++;
}
