// What a vision page adds to rendered Markdown: marks tied to boxes, time stamps and pages to press, code with its buttons.
import { t } from '../i18n/words';
import { findMarks, type Mark } from './grounding';
import { findPages, findTimes, type Reference } from './moments';

// Private-use characters that no answer has (they are taken out first): begin of a mark, its number, end of a mark.
const OPEN = '\uE000';
const CLOSE = '\uE001';
const FIRST_NUMBER = 0xe100;

/** The text with its marks fenced in, for Markdown to carry through. */
export function fenceMarks(source: string): { text: string; marks: Mark[] } {
  const text = source.replace(/[\uE000\uE001\uE100-\uE2FF]/g, '');
  const marks = findMarks(text);
  let out = '';
  let at = 0;
  marks.forEach((m, i) => {
    if (m.start < at) return;
    out += text.slice(at, m.start) + OPEN + String.fromCharCode(FIRST_NUMBER + i) + (m.shown ?? text.slice(m.start, m.end)) + CLOSE;
    at = m.end;
  });
  return { text: out + text.slice(at), marks };
}

export interface Extras {
  times: boolean;
  pages: boolean;
}

export function decorate(root: DocumentFragment, extras: Extras): void {
  tieMarks(root);
  for (const block of root.querySelectorAll<HTMLElement>('.code')) head(block);
  if (extras.times) press(root, findTimes, 'time');
  if (extras.pages) press(root, findPages, 'page');
}

function texts(root: Node): Text[] {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found: Text[] = [];
  while (walker.nextNode()) found.push(walker.currentNode as Text);
  return found;
}

/** Puts an element around what lies between the fences, and takes the fences out, tied or not. */
function tieMarks(root: DocumentFragment): void {
  let begin: { node: Text; number: number } | undefined;
  for (const node of texts(root)) {
    // From the back: a split copies all that lies behind it.
    const pieces = [...node.data.matchAll(/[\uE000\uE001]/g)].reverse().map((m) => node.splitText(m.index));
    for (const rest of pieces.reverse()) {
      const opens = rest.data[0] === OPEN;
      const number = opens ? rest.data.charCodeAt(1) - FIRST_NUMBER : -1;
      rest.deleteData(0, opens ? 2 : 1);
      if (opens) {
        begin = { node: rest, number };
      } else if (begin) {
        if (begin.node.parentNode === rest.parentNode) wrap(begin.node, rest, begin.number);
        begin = undefined;
      }
    }
  }
}

function wrap(from: Text, to: Text, number: number): void {
  const span = document.createElement('span');
  span.className = 'mark';
  span.dataset.mark = String(number);
  span.tabIndex = 0;
  from.before(span);
  for (let node: ChildNode | null = from; node && node !== to; ) {
    const next: ChildNode | null = node.nextSibling;
    span.append(node);
    node = next;
  }
}

function head(block: HTMLElement): void {
  const bar = block.querySelector('.code-head');
  if (!bar) return;
  const name = document.createElement('span');
  name.textContent = block.dataset.language || t('code');
  bar.append(name);
  const html = /^(html|svg)$/.test(block.dataset.language ?? '');
  for (const act of html ? ['preview', 'copy'] : ['copy']) {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.act = act;
    button.textContent = t(act as 'copy' | 'preview');
    bar.append(button);
  }
}

/** Makes references into buttons. */
function press(root: DocumentFragment, find: (text: string) => Reference[], kind: 'time' | 'page'): void {
  for (const node of texts(root)) {
    const parent = node.parentElement;
    if (parent?.closest('a, button, .math, .code-head')) continue;
    for (const reference of find(node.data).reverse()) {
      const rest = node.splitText(reference.start);
      rest.splitText(reference.end - reference.start);
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'jump';
      button.dataset[kind] = String(reference.seconds ?? reference.page);
      button.title = t(kind === 'time' ? 'jumpTime' : 'jumpPage');
      rest.replaceWith(button);
      button.append(rest);
    }
  }
}
