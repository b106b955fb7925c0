// One answer: asked for, streamed into its turn, stopped, taken up again after a broken connection.
import { signal, type Signal } from '@preact/signals';
import { headers, look, reach } from './client';
import { build, fileAt, Gone, type Built } from './request';
import { events } from './sse';
import { change, changeTurn } from '../state/library';
import { params } from '../state/settings';
import { newId, withTurn, type Conversation, type Failure, type Seen, type Turn, type Usage } from '../state/tree';

/** Turns that are being answered, by id. */
export const running = signal<Record<string, AbortController>>({});
/** Seconds until the next attempt, by turn. */
export const countdown = signal<Record<string, number>>({});

/** A server that is started anew has its model to load: about a minute. */
const ATTEMPTS = { busy: 5, dropped: 10 };
const LONGEST_WAIT = 8;

class Refused extends Error {
  constructor(readonly failure: Failure, readonly retryAfter: number | undefined) {
    super(failure.message);
  }
}

/** The connection ended before the answer did. */
class Dropped extends Error {}

export const isRunning = (c: Conversation): boolean => Object.keys(running.value).some((id) => c.turns[id]);

export function stop(c: Conversation): void {
  for (const [id, controller] of Object.entries(running.peek())) if (c.turns[id]) controller.abort();
}

/** Asks for a new answer below `parent`. */
export function ask(c: Signal<Conversation>, parent: string): Promise<void> {
  const turn: Turn = { id: newId(), parent, role: 'assistant', text: '', at: Date.now(), status: 'waiting', params: { ...params.peek() } };
  change(c, (v) => ({ ...withTurn(v, turn, turn.id), at: Date.now() }));
  return work(c, turn.id);
}

/** Goes on with an answer that was cut off. */
export const resume = (c: Signal<Conversation>, id: string): Promise<void> => work(c, id);

async function work(c: Signal<Conversation>, id: string): Promise<void> {
  const controller = new AbortController();
  running.value = { ...running.peek(), [id]: controller };
  const set = (part: Partial<Turn>) => changeTurn(c, id, (t) => ({ ...t, ...part }));
  set({ failure: undefined, status: 'waiting' });
  try {
    for (let attempt = 1; ; attempt++) {
      const before = c.peek().turns[id]?.text;
      try {
        await once(c, id, controller.signal);
        set({ status: 'done' });
        return;
      } catch (error) {
        if (controller.signal.aborted) throw error;
        const busy = error instanceof Refused && [429, 503].includes(error.failure.status ?? 0);
        const dropped = error instanceof Dropped;
        if (dropped && c.peek().turns[id]?.text !== before) attempt = 1;
        if (!(busy || dropped) || attempt >= ATTEMPTS[busy ? 'busy' : 'dropped']) throw error;
        set({ status: busy ? 'busy' : 'reconnecting' });
        await wait(id, (busy && error.retryAfter) || Math.min(LONGEST_WAIT, 2 ** (attempt - 1)), controller.signal);
      }
    }
  } catch (error) {
    if (controller.signal.aborted) set({ status: 'stopped' });
    else if (error instanceof Refused) set({ status: 'failed', failure: error.failure });
    else if (error instanceof Gone) set({ status: 'failed', failure: { kind: 'gone', message: '', file: error.file } });
    else set({ status: 'failed', failure: { kind: 'network', message: (error as Error).message } });
    if (!controller.signal.aborted) void look();
  } finally {
    const { [id]: _, ...others } = running.peek();
    running.value = others;
  }
}

async function wait(id: string, seconds: number, stopped: AbortSignal): Promise<void> {
  const until = Date.now() + seconds * 1000;
  try {
    while (Date.now() < until) {
      countdown.value = { ...countdown.peek(), [id]: Math.ceil((until - Date.now()) / 1000) };
      await new Promise((done) => setTimeout(done, Math.min(250, Math.max(1, until - Date.now()))));
      stopped.throwIfAborted();
    }
  } finally {
    const { [id]: _, ...others } = countdown.peek();
    countdown.value = others;
  }
}

/** One request. What an earlier one wrote is gone on with, unless it was still thinking or calling tools: then it starts anew. */
async function once(c: Signal<Conversation>, id: string, stopped: AbortSignal): Promise<void> {
  const turn = c.peek().turns[id];
  if (!turn) return;
  const goOn = turn.text !== '' && !turn.toolCalls?.length;
  if (!goOn) changeTurn(c, id, (t) => ({ ...t, text: '', reasoning: undefined, toolCalls: undefined }));
  const built = await build(c.peek(), goOn ? id : turn.parent ?? id, turn.params ?? params.peek(), { resume: goOn });
  const sent = performance.now();
  let response: Response;
  try {
    response = await fetch('/v1/chat/completions', {
      method: 'POST',
      headers: headers({ 'content-type': 'application/json' }),
      body: JSON.stringify(built.files.size > 0 ? { ...built.body, vlgate: { explain_media: true } } : built.body),
      signal: stopped,
    });
  } catch (error) {
    reach.value = 'away';
    throw stopped.aborted ? error : new Dropped((error as Error).message);
  }
  reach.value = response.status === 401 ? 'key' : 'ok';
  if (!response.ok) throw await refusal(response, built);
  if (!response.body) throw new Dropped('no body');
  await read(c, id, response.body, built, sent);
}

async function refusal(response: Response, built: Built): Promise<Refused> {
  const text = await response.text();
  let said: { message?: string; code?: string; param?: string } = {};
  try {
    said = JSON.parse(text).error ?? {};
  } catch {
    // A proxy's page, not the gateway's words.
  }
  const retry = Number(response.headers.get('retry-after'));
  return new Refused(toFailure(said, built, response.status, text.slice(0, 300)), retry > 0 ? retry : undefined);
}

function toFailure(said: { message?: string; code?: string | null; param?: string | null }, built: Built, status?: number, otherwise = ''): Failure {
  const param = said.param ?? undefined;
  return { kind: 'api', status, code: said.code ?? undefined, message: said.message ?? otherwise, param, file: fileAt(built.files, param)?.name };
}

interface Delta {
  content?: string | null;
  reasoning_content?: string | null;
  reasoning?: string | null;
  tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[];
}

async function read(c: Signal<Conversation>, id: string, body: ReadableStream<Uint8Array>, built: Built, sent: number): Promise<void> {
  const old = c.peek().turns[id];
  let next: Turn = { ...old, status: 'streaming' };
  let first: number | undefined;
  let last = sent;
  let pieces = 0;
  let usage: Usage | undefined;
  let ended = false;
  let due: ReturnType<typeof setTimeout> | undefined;
  const show = () => {
    clearTimeout(due);
    due = undefined;
    changeTurn(c, id, () => next);
  };
  // A frame's time: the screen shows no more, and a timer also runs where the tab is hidden.
  const soon = () => { due ??= setTimeout(show, 33); };
  try {
    for await (const data of events(body)) {
      if (data === '[DONE]') {
        ended = true;
        break;
      }
      let chunk: { vlgate?: { media: Seen[] } | null; error?: Parameters<typeof toFailure>[0]; usage?: Usage | null; choices?: { delta?: Delta; finish_reason?: string | null }[] };
      try {
        chunk = JSON.parse(data);
      } catch {
        throw new Dropped('half an event');
      }
      if (chunk.error) throw new Refused(toFailure(chunk.error, built), undefined);
      if (chunk.usage) usage = chunk.usage;
      if (chunk.vlgate) next = { ...next, seen: chunk.vlgate.media.map((n) => ({ ...n, name: fileAt(built.files, n.param)?.name })) };
      const choice = chunk.choices?.[0];
      const delta = choice?.delta;
      const thought = delta?.reasoning_content ?? delta?.reasoning;
      if (delta?.content || thought || delta?.tool_calls?.length) {
        last = performance.now();
        first ??= last;
        pieces++;
      }
      if (delta?.content) next = { ...next, text: next.text + delta.content };
      if (thought) next = { ...next, reasoning: (next.reasoning ?? '') + thought };
      for (const call of delta?.tool_calls ?? []) {
        const calls = [...(next.toolCalls ?? [])];
        const known = calls[call.index] ?? { id: '', name: '', arguments: '' };
        calls[call.index] = { id: call.id ?? known.id, name: known.name + (call.function?.name ?? ''), arguments: known.arguments + (call.function?.arguments ?? '') };
        next = { ...next, toolCalls: calls };
      }
      if (choice?.finish_reason) {
        next = { ...next, finish: choice.finish_reason };
        ended = true;
      }
      soon();
    }
  } catch (error) {
    if (error instanceof Refused || error instanceof Dropped || (error as Error).name === 'AbortError') throw error;
    throw new Dropped((error as Error).message);
  } finally {
    const tokens = usage?.completion_tokens ?? pieces;
    // What came in one burst says nothing about speed.
    const seconds = first === undefined ? 0 : (last - first) / 1000;
    const stats = { first: first === undefined ? undefined : first - sent, speed: seconds > 0.01 && tokens > 1 ? (tokens - 1) / seconds : undefined, usage };
    next = { ...next, stats: first === undefined && !usage ? next.stats : stats };
    show();
  }
  if (!ended) throw new Dropped('the stream ended early');
}
