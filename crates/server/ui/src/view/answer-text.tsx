// An answer's Markdown on the screen. While it streams, blocks that have not changed stay as they are.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { language } from '../state/settings';
import { decorate, type Extras, fenceMarks } from '../text/decorate';
import { render } from '../text/markdown';
import { drawMath } from '../text/math';
import { t } from '../i18n/words';
import { copy } from './clipboard';
import { previewed } from './html-preview';
import { colourOf } from './overlay';

/** Beyond this an answer is shown as plain text: laying it out would hold up the page. */
const LONGEST = 200_000;
/** Beyond this the rest is left to copying and saving. */
const SHOWN = 2_000_000;
/** The same for elements: ten thousand of them fit into a short text. */
const MOST_ELEMENTS = 12_000;
/** Characters of plain text that are laid out together. */
const PIECE = 20_000;
/** From so many blocks on, those out of sight are not laid out. */
const LONG = 60;

interface Props {
  text: string;
  /** More text is to come. */
  growing: boolean;
  extras: Extras;
  hot?: number;
  onHot: (i: number | undefined) => void;
  onTime: (seconds: number) => void;
  onPage: (page: number) => void;
}

export function AnswerText({ text, growing, extras, hot, onHot, onTime, onPage }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const cost = useRef(0);
  const last = useRef(0);
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const words = language.value;

  useLayoutEffect(() => {
    const draw = () => {
      const began = performance.now();
      if (root.current) paint(root.current, text, extras);
      last.current = performance.now();
      cost.current = last.current - began;
    };
    // No more than a quarter of the time goes into drawing, while more is to come: what the buttons of a whole answer take is whole.
    const wait = last.current + cost.current * 3 - performance.now();
    clearTimeout(due.current);
    if (wait <= 0 || !growing) draw();
    else due.current = setTimeout(draw, wait);
    return () => clearTimeout(due.current);
  }, [text, growing, extras.times, extras.pages, words]);

  useEffect(() => {
    for (const span of root.current?.querySelectorAll<HTMLElement>('[data-mark]') ?? []) {
      span.style.setProperty('--colour', colourOf(Number(span.dataset.mark)));
      span.classList.toggle('hot', Number(span.dataset.mark) === hot);
    }
  });

  const markAt = (e: Event): number | undefined => {
    const mark = (e.target as Element).closest<HTMLElement>('[data-mark]')?.dataset.mark;
    return mark === undefined ? undefined : Number(mark);
  };
  const press = (e: MouseEvent) => {
    const button = (e.target as Element).closest<HTMLElement>('button');
    if (!button) return;
    if (button.dataset.time) onTime(Number(button.dataset.time));
    if (button.dataset.page) onPage(Number(button.dataset.page));
    // The stage that opens above takes its room from here.
    if (button.classList.contains('jump')) setTimeout(() => button.scrollIntoView({ block: 'nearest' }), 50);
    const code = button.closest('.code')?.querySelector('code')?.textContent ?? '';
    if (button.dataset.act === 'copy') void copy(code);
    if (button.dataset.act === 'preview') previewed.value = code;
  };
  return <div ref={root} class="markdown" onClick={press} onMouseOver={(e) => onHot(markAt(e))} onMouseLeave={() => onHot(undefined)} onFocusIn={(e) => onHot(markAt(e))} onFocusOut={() => onHot(undefined)} />;
}

function paint(root: HTMLElement, text: string, extras: Extras): void {
  if (text.length > LONGEST) return paintPlain(root, text);
  const fresh = render(fenceMarks(text).text);
  if (fresh.querySelectorAll('*').length > MOST_ELEMENTS) return paintPlain(root, text);
  decorate(fresh, extras);
  drawMath(fresh);
  const old = [...root.children];
  const next = [...fresh.children];
  root.classList.toggle('long', next.length > LONG);
  let same = 0;
  while (same < old.length && same < next.length && alike(old[same], next[same])) same++;
  old.slice(same).forEach((node) => node.remove());
  root.append(...next.slice(same));
}

function paintPlain(root: HTMLElement, text: string): void {
  const note = document.createElement('p');
  note.className = 'faint';
  note.textContent = t(text.length > SHOWN ? 'hugerAnswer' : 'hugeAnswer', { n: text.length.toLocaleString(), shown: SHOWN.toLocaleString() });
  const plain = document.createElement('pre');
  plain.className = 'huge';
  plain.tabIndex = 0;
  for (let at = 0; at < Math.min(text.length, SHOWN); ) {
    // At the end of a line where there is one, since each piece begins a line of its own.
    const line = text.indexOf('\n', at + PIECE);
    const to = Math.min(SHOWN, line < 0 || line > at + 2 * PIECE ? at + PIECE : line + 1);
    const piece = document.createElement('div');
    piece.textContent = text.slice(at, to);
    plain.append(piece);
    at = to;
  }
  root.classList.remove('long');
  root.replaceChildren(note, plain);
}

/** Equal, but for what the pointer left on it. */
function alike(a: Element, b: Element): boolean {
  if (a.textContent !== b.textContent) return false;
  if (a.isEqualNode(b)) return true;
  const copy = a.cloneNode(true) as Element;
  for (const mark of copy.querySelectorAll<HTMLElement>('[data-mark]')) {
    mark.removeAttribute('style');
    mark.className = 'mark';
  }
  return copy.isEqualNode(b);
}
