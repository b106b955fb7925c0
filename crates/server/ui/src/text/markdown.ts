// An answer's Markdown as elements that can do nothing: raw HTML stays text, pictures from elsewhere become links, and
// DOMPurify goes over the result all the same.
import DOMPurify from 'dompurify';
import MarkdownIt from 'markdown-it';
import { highlight } from './highlight';
import { mathRules } from './math-rules';

const md = new MarkdownIt({ html: false, linkify: true, breaks: false, maxNesting: 60 });
md.use(mathRules);
// Only what was meant as a link: `main.rs` is no address.
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
md.validateLink = (url) => /^(https?:|mailto:|#)/i.test(url.trim()) || /^data:image\/(png|jpeg|gif|webp);base64,/i.test(url.trim());

const escape = md.utils.escapeHtml;

export const languageOf = (info: string): string => info.trim().split(/[\s:{]/)[0].toLowerCase();

const code = (content: string, info: string): string => {
  const language = languageOf(info);
  return `<div class="code" data-language="${escape(language)}"><div class="code-head"></div><pre tabindex="0"><code>${highlight(content, language) ?? escape(content)}</code></pre></div>`;
};
md.renderer.rules.fence = (tokens, i) => code(tokens[i].content, tokens[i].info);
md.renderer.rules.code_block = (tokens, i) => code(tokens[i].content, '');
md.renderer.rules.table_open = () => '<div class="table" tabindex="0"><table>';
md.renderer.rules.table_close = () => '</table></div>';
for (const cell of ['th_open', 'td_open']) {
  // An inline style would be refused by the page's own policy.
  md.renderer.rules[cell] = (tokens, i) => {
    const side = String(tokens[i].attrGet('style') ?? '').match(/left|center|right/)?.[0];
    return side ? `<${tokens[i].tag} class="${side}">` : `<${tokens[i].tag}>`;
  };
}
md.renderer.rules.image = (tokens, i) => {
  const source = String(tokens[i].attrGet('src') ?? '');
  const alt = tokens[i].content;
  if (source.startsWith('data:')) return `<img src="${escape(source)}" alt="${escape(alt)}">`;
  return `<a href="${escape(source)}" class="remote">${escape(alt || source)}</a>`;
};

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
});

const ALLOWED = {
  ALLOWED_TAGS: ['a', 'b', 'blockquote', 'br', 'code', 'del', 'div', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'i', 'img', 'li', 'ol', 'p', 'pre', 's', 'span', 'strong', 'sub', 'sup', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
  ALLOWED_ATTR: ['href', 'src', 'alt', 'title', 'class', 'start', 'tabindex', 'data-language'],
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true as const,
};

export function render(text: string): DocumentFragment {
  return DOMPurify.sanitize(md.render(text), ALLOWED) as unknown as DocumentFragment;
}

export interface CodeBlock {
  info: string;
  content: string;
  /** The text right before it, which may name the file. */
  before: string;
}

export function codeBlocks(text: string): CodeBlock[] {
  const tokens = md.parse(text, {});
  return tokens.flatMap((token, i) => {
    if (token.type !== 'fence') return [];
    const inline = tokens.slice(0, i).findLast((t) => t.type === 'inline');
    const near = inline?.map && token.map && token.map[0] - inline.map[1] <= 1;
    return [{ info: token.info, content: token.content, before: near ? inline.content : '' }];
  });
}
