// Where a question is written.
import { useRef } from 'preact/hooks';
import { ask, isRunning, stop } from '../api/answer';
import { problems } from '../api/request';
import { ACCEPT, discard, take } from '../media/intake';
import { change, current, draft, pending } from '../state/library';
import { params } from '../state/settings';
import { newId, withTurn, type Attachment, type Turn } from '../state/tree';
import { t, type Word } from '../i18n/words';
import { Icon } from './icon';
import { toast } from './toast';
import { Thumb } from './thumb';
import { show } from './viewer';

/** Sends a question into the open conversation; false when that cannot be done now. */
export function send(text: string, attachments: Attachment[]): boolean {
  const c = current.peek();
  if (isRunning(c.peek()) || (!text && !attachments.length)) return false;
  const wrong = Object.keys(problems(params.peek()));
  if (wrong.length) {
    // Sent without them, the answer would be one to another question.
    toast(t('settingsWrong', { names: wrong.map((key) => t(key as Word)).join(', ') }), 'bad');
    return false;
  }
  const turn: Turn = { id: newId(), parent: c.peek().leaf, role: 'user', text, at: Date.now(), attachments: attachments.length ? attachments : undefined };
  change(c, (v) => withTurn(v, turn, turn.id));
  void ask(c, turn.id);
  return true;
}

export function Composer() {
  const input = useRef<HTMLInputElement>(null);
  const busy = isRunning(current.value.value);
  const submit = (e: Event) => {
    e.preventDefault();
    if (busy) return;
    if (!send(draft.value.trim(), pending.value)) return;
    draft.value = '';
    pending.value = [];
  };
  return (
    <form class="composer" onSubmit={submit}>
      {pending.value.length > 0 && <ul class="thumbs small">{pending.value.map((a) => <li key={a.id}><Thumb file={a} onOpen={() => show(a)} onRemove={() => discard(a.id)} /></li>)}</ul>}
      <div class="row end">
        <button type="button" class="quiet" aria-label={t('attach')} title={t('attach')} onClick={() => input.current?.click()}><Icon name="plus" /></button>
        <input ref={input} type="file" multiple accept={ACCEPT} class="sr" tabIndex={-1} aria-label={t('attach')} onChange={(e) => { void take([...(e.currentTarget.files ?? [])]); e.currentTarget.value = ''; }} />
        <textarea id="question" rows={Math.min(8, draft.value.split('\n').length)} aria-label={t('question')} placeholder={t('questionHint')} value={draft.value}
          onInput={(e) => { draft.value = e.currentTarget.value; }}
          onKeyDown={(e) => { if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) submit(e); }} />
        {busy ? <button type="button" class="main stop" onClick={() => stop(current.value.value)}><Icon name="stop" />{t('stop')}</button>
          : <button type="submit" class="main" disabled={!draft.value.trim() && !pending.value.length}><Icon name="send" />{t('send')}</button>}
      </div>
    </form>
  );
}
