// KaTeX, fetched when the first formula comes. It builds elements itself, so that no style attribute is parsed.
type Katex = typeof import('katex').default;

let katex: Katex | undefined;
let loading: Promise<Katex> | undefined;

function load(): Promise<Katex> {
  loading ??= (async () => {
    const style = document.createElement('link');
    style.rel = 'stylesheet';
    style.href = KATEX_CSS;
    document.head.append(style);
    katex = (await import('katex')).default;
    return katex;
  })();
  return loading;
}

/** Beyond so many the others stay as they are written: each is some fifty elements. */
const MOST = 600;

/** Draws the formulas under an element: at once when KaTeX is there, else when it comes. */
export function drawMath(root: ParentNode): void {
  const spans = [...root.querySelectorAll<HTMLElement>('.math:not([data-drawn])')].slice(0, MOST);
  if (!spans.length) return;
  if (katex) spans.forEach((s) => draw(s, katex!));
  else void load().then((k) => spans.forEach((s) => draw(s, k))).catch(() => {});
}

function draw(span: HTMLElement, k: Katex): void {
  const tex = span.textContent ?? '';
  span.dataset.drawn = '';
  try {
    k.render(tex, span, { displayMode: span.classList.contains('display'), throwOnError: false, trust: false, maxExpand: 200, maxSize: 20 });
  } catch {
    span.textContent = tex;
  }
}
