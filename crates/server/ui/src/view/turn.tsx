// One turn: a question with its files, an answer with all that hangs on it, or what a tool said.
import type { Signal } from '@preact/signals';
import { useMemo, useState } from 'preact/hooks';
import { ask, countdown, isRunning, resume } from '../api/answer';
import { modelInfo } from '../api/client';
import { change } from '../state/library';
import { newestLeaf, newId, path, siblings, withTurn, type Attachment, type Conversation, type Turn } from '../state/tree';
import { explain } from '../text/errors';
import { findMarks } from '../text/grounding';
import { t } from '../i18n/words';
import { AnswerText } from './answer-text';
import { copy } from './clipboard';
import { Icon } from './icon';
import { MarkedPicture } from './marked-picture';
import { shown } from './request-code';
import { stage } from './stage';
import { Thumb } from './thumb';
import { Seen } from './seen';
import { ToolCalls, ToolResults } from './tool-card';
import { show } from './viewer';

interface Props {
  c: Signal<Conversation>;
  turn: Turn;
  last: boolean;
}

export function TurnView(props: Props) {
  const { turn } = props;
  if (turn.role === 'user') return <Question {...props} />;
  if (turn.role === 'tool') return <article class="turn tool-turn" aria-label={t('result')}><ToolResults results={turn.toolResults ?? []} /></article>;
  return <Answer {...props} />;
}

function Branches({ c, turn }: Props) {
  const all = siblings(c.value, turn);
  if (all.length < 2) return null;
  const at = all.findIndex((s) => s.id === turn.id);
  const go = (to: Turn) => change(c, (v) => ({ ...v, leaf: newestLeaf(v, to.id) }));
  return (
    <span class="branches" role="group" aria-label={t('branches')}>
      <button type="button" class="quiet small" aria-label={t('branchBefore')} disabled={at === 0} onClick={() => go(all[at - 1])}><Icon name="left" /></button>
      <span>{at + 1} / {all.length}</span>
      <button type="button" class="quiet small" aria-label={t('branchAfter')} disabled={at === all.length - 1} onClick={() => go(all[at + 1])}><Icon name="right" /></button>
    </span>
  );
}

function Act({ name, label, onClick, disabled }: { name: Parameters<typeof Icon>[0]['name']; label: string; onClick: () => void; disabled?: boolean }) {
  return <button type="button" class="quiet small" title={label} aria-label={label} disabled={disabled} onClick={onClick}><Icon name={name} /></button>;
}

function Question(props: Props) {
  const { c, turn } = props;
  const [editing, setEditing] = useState<string>();
  const busy = isRunning(c.value);
  const submit = (e: Event) => {
    e.preventDefault();
    const text = (editing ?? '').trim();
    if (!text && !turn.attachments?.length) return;
    setEditing(undefined);
    const next: Turn = { ...turn, id: newId(), text, at: Date.now() };
    change(c, (v) => withTurn(v, next, next.id));
    void ask(c, next.id);
  };
  return (
    <article class="turn question" aria-label={t('you')}>
      {turn.attachments?.length ? <ul class="thumbs">{turn.attachments.map((a) => <li key={a.id}><Thumb file={a} onOpen={() => show(a)} /></li>)}</ul> : null}
      {editing === undefined ? turn.text && <div class="asked">{turn.text}</div> : (
        <form class="editing" onSubmit={submit}>
          <textarea rows={3} aria-label={t('editQuestion')} value={editing} ref={(el) => { if (el && document.activeElement?.tagName !== 'TEXTAREA') el.focus(); }} onInput={(e) => setEditing(e.currentTarget.value)}
            onKeyDown={(e) => { if (e.key === 'Escape') { e.stopPropagation(); setEditing(undefined); } if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) submit(e); }} />
          <div class="row"><button type="submit" class="main">{t('send')}</button><button type="button" onClick={() => setEditing(undefined)}>{t('cancel')}</button></div>
        </form>
      )}
      <div class="acts"><Branches {...props} /><Act name="edit" label={t('editQuestion')} disabled={busy} onClick={() => setEditing(turn.text)} /><Act name="copy" label={t('copy')} onClick={() => void copy(turn.text)} /></div>
    </article>
  );
}

/** The latest files of a kind that were there when the answer was written. */
function filesBefore(c: Conversation, turn: Turn, kind: Attachment['kind']): Attachment[] {
  const with_ = path(c, turn.parent).findLast((x) => x.attachments?.some((a) => a.kind === kind));
  return with_?.attachments?.filter((a) => a.kind === kind) ?? [];
}

function Answer(props: Props) {
  const { c, turn, last } = props;
  const [hot, setHot] = useState<number>();
  const pictures = filesBefore(c.value, turn, 'image');
  const [clip] = filesBefore(c.value, turn, 'video');
  const [document_] = filesBefore(c.value, turn, 'pdf');
  const inCalls = (turn.toolCalls ?? []).map((call) => call.arguments).join('\n');
  const marks = useMemo(() => [...findMarks(turn.text), ...findMarks(inCalls)], [turn.text, inCalls]);
  const working = ['waiting', 'streaming', 'busy', 'reconnecting'].includes(turn.status ?? '');
  const busy = isRunning(c.value);
  const cutOff = turn.text !== '' && !turn.toolCalls?.length && (turn.status === 'stopped' || turn.status === 'failed' || turn.finish === 'length');
  const results = (toolResults: { id: string; content: string }[]) => {
    const next: Turn = { id: newId(), parent: turn.id, role: 'tool', text: '', at: Date.now(), toolResults };
    change(c, (v) => withTurn(v, next, next.id));
    void ask(c, next.id);
  };
  return (
    <article class="turn answer" aria-label={t('answer')} aria-busy={working}>
      {turn.reasoning && <details class="reasoning"><summary>{t(working && !turn.text ? 'thinking' : 'thought')}</summary><div>{turn.reasoning}</div></details>}
      {marks.length > 0 && pictures.length > 0 && <MarkedPicture pictures={pictures} marks={marks} hot={hot} onHot={setHot} />}
      {turn.text && <AnswerText text={turn.text} growing={working} extras={{ times: Boolean(clip), pages: Boolean(document_) }} hot={hot} onHot={setHot}
        onTime={(seconds) => { stage.value = { file: clip, seconds }; }} onPage={(page) => { stage.value = { file: document_, page }; }} />}
      {turn.toolCalls?.length ? <ToolCalls calls={turn.toolCalls} open={last && !working} onResults={results} /> : null}
      {working && <p class="working"><span class="dot" aria-hidden="true" />{t(turn.status === 'busy' ? 'busyWait' : turn.status === 'reconnecting' ? (turn.text ? 'reconnecting' : 'unreachable') : turn.text || turn.toolCalls ? 'writing' : 'waiting', { n: String(countdown.value[turn.id] ?? 0) })}</p>}
      {turn.failure && <Trouble turn={turn} onAgain={last && !busy ? () => void resume(c, turn.id) : undefined} />}
      {turn.status === 'stopped' && <p class="faint">{t('stopped')}</p>}
      {turn.finish === 'length' && turn.status === 'done' && <p class="faint">{t('tooLong')}</p>}
      {turn.seen && <Seen notes={turn.seen} />}
      <div class="acts">
        <Branches {...props} />
        <Act name="again" label={t('regenerate')} disabled={busy} onClick={() => void ask(c, turn.parent ?? turn.id)} />
        {cutOff && last && <Act name="forward" label={t('goOn')} disabled={busy} onClick={() => void resume(c, turn.id)} />}
        <Act name="copy" label={t('copy')} onClick={() => void copy(turn.text)} />
        <Act name="code" label={t('asCode')} onClick={() => { shown.value = turn.id; }} />
        <Numbers turn={turn} />
      </div>
    </article>
  );
}

function Trouble({ turn, onAgain }: { turn: Turn; onAgain?: () => void }) {
  const f = turn.failure!;
  return (
    <div class="trouble" role="alert">
      <strong>{f.file ? `${f.file}: ` : ''}{explain(f)}</strong>
      <p hidden={!f.message}>{f.message}{f.status ? <span class="faint"> ({f.status}{f.code ? ` ${f.code}` : ''}{f.param && !f.file ? `, ${f.param}` : ''})</span> : null}</p>
      {turn.text && <p class="faint">{t('textKept')}</p>}
      {onAgain && <button type="button" onClick={onAgain}><Icon name={turn.text ? 'forward' : 'again'} />{t(turn.text ? 'goOn' : 'tryAgain')}</button>}
    </div>
  );
}

function Numbers({ turn }: { turn: Turn }) {
  const s = turn.stats;
  if (!s) return null;
  const u = s.usage;
  const images = (u?.prompt_tokens_details?.image_tokens ?? 0) + (u?.prompt_tokens_details?.video_tokens ?? 0);
  const cached = u?.prompt_tokens_details?.cached_tokens ?? 0;
  const apart = [images > 0 && t('imageTokens', { n: String(images) }), cached > 0 && t('cachedTokens', { n: String(cached) })].filter(Boolean);
  const context = modelInfo(turn.params?.model ?? '')?.context_length;
  return (
    <span class="numbers">
      {s.speed !== undefined && <span>{s.speed.toFixed(1)} {t('perSecond')}</span>}
      {s.first !== undefined && <span title={t('firstToken')}>{t('firstShort')} {s.first < 1000 ? `${Math.round(s.first)} ms` : `${(s.first / 1000).toFixed(1)} s`}</span>}
      {u && <span>{t('usageRead', { n: String(u.prompt_tokens) })}{apart.length > 0 && ` (${apart.join(', ')})`}</span>}
      {u && <span>{t('usageOut', { n: String(u.completion_tokens) })}</span>}
      {u && context ? <span class="context"><meter min={0} max={context} value={u.total_tokens} aria-label={t('contextUse')} />{t('contextShare', { n: ((u.total_tokens / context) * 100).toFixed(u.total_tokens / context < 0.1 ? 1 : 0) })}</span> : null}
    </span>
  );
}
