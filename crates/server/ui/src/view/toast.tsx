// Short messages at the edge, with something to undo where there is something.
import { signal } from '@preact/signals';
import { t } from '../i18n/words';

interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'bad';
  undo?: () => void;
}

const toasts = signal<Toast[]>([]);
let last = 0;

const close = (id: number) => { toasts.value = toasts.value.filter((x) => x.id !== id); };

export function toast(text: string, tone: Toast['tone'] = 'plain', undo?: () => void): void {
  const id = ++last;
  toasts.value = [...toasts.value, { id, text, tone, undo }].slice(-4);
  setTimeout(() => close(id), tone === 'bad' || undo ? 9000 : 4000);
}

/** Once for the page, and once in an open dialog, outside of which nothing can be reached. */
export function Toasts() {
  return (
    <div class="toasts" role="status">
      {toasts.value.map((x) => (
        <div key={x.id} class={`toast ${x.tone}`}>
          <span>{x.text}</span>
          {x.undo && <button type="button" onClick={() => { x.undo?.(); close(x.id); }}>{t('undo')}</button>}
          <button type="button" aria-label={t('close')} onClick={() => close(x.id)}>×</button>
        </div>
      ))}
    </div>
  );
}
