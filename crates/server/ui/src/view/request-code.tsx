// The very request as curl, Python or JavaScript.
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { snippet, type Language } from '../export/snippets';
import { current } from '../state/library';
import { params } from '../state/settings';
import { t } from '../i18n/words';
import { copy } from './clipboard';
import { Dialog } from './dialog';

/** The turn whose request is shown: an answer, or a question that waits for one. */
export const shown = signal<string | undefined>(undefined);

const NAMES: Record<Language, string> = { curl: 'curl', python: 'Python', javascript: 'JavaScript' };
const LONGEST = 20_000;

export function RequestCode() {
  return shown.value ? <Open id={shown.value} /> : null;
}

function Open({ id }: { id: string }) {
  const [language, setLanguage] = useState<Language>('curl');
  const [code, setCode] = useState('');
  const c = current.value.value;
  const turn = c.turns[id];
  useEffect(() => {
    let here = true;
    const leaf = turn?.role === 'assistant' ? turn.parent : id;
    if (leaf) snippet(language, c, leaf, turn.params ?? params.value).then((s) => { if (here) setCode(s); }, (e: Error) => { if (here) setCode(e.message); });
    return () => { here = false; };
  }, [language, id]);
  return (
    <Dialog wide title={t('asCode')} onClose={() => { shown.value = undefined; }}>
      <div class="row">
        <div class="tabs" role="group" aria-label={t('language')}>
          {(Object.keys(NAMES) as Language[]).map((l) => <button key={l} type="button" aria-pressed={l === language} onClick={() => setLanguage(l)}>{NAMES[l]}</button>)}
        </div>
        <span class="grow" />
        <button type="button" class="main" onClick={() => void copy(code)}>{t('copy')}</button>
      </div>
      <pre class="snippet" tabIndex={0}>{code.length > LONGEST ? `${code.slice(0, LONGEST)}\n… ${t('moreCopied', { n: (code.length - LONGEST).toLocaleString() })}` : code}</pre>
    </Dialog>
  );
}
