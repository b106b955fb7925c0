// What the model saw of each picture, clip and document, as the server tells it.
import { t } from '../i18n/words';
import type { Seen as Note } from '../state/tree';

const size = (of: number[] | undefined) => of?.join('×');

/** The line of one part: format, sizes, tokens, then frames' times or pages. */
function line(n: Note): string {
  const sizes = [size(n.size), size(n.size_seen)].filter(Boolean).join(' → ');
  const times = n.frames?.map((f) => `${f.time.toFixed(1)} s`).join(', ');
  const pages = n.pages?.map((p) => p.page).join(', ');
  return [
    [n.format, n.codec].filter(Boolean).join(' '), sizes, n.tokens > 0 && t('seenTokens', { n: String(n.tokens) }),
    times && t('seenFrames', { n: String(n.frames?.length), times }),
    pages && t('seenPages', { pages, n: String(n.pages_total ?? n.pages?.length) }),
    n.cached && t('seenCached'),
  ].filter(Boolean).join(' · ');
}

export function Seen({ notes }: { notes: Note[] }) {
  return (
    <details class="reasoning seen">
      <summary>{t('seen')}</summary>
      <ul>{notes.map((n, i) => <li key={i}>{n.name && <strong>{n.name}: </strong>}{line(n)}</li>)}</ul>
    </details>
  );
}
