// `$…$`, `$$…$$`, `\(…\)`, `\[…\]` for markdown-it: a span that holds the source; math.ts draws it.
import type MarkdownIt from 'markdown-it';

const FORMS: [open: string, close: string, display: boolean][] = [['$$', '$$', true], ['\\[', '\\]', true], ['\\(', '\\)', false], ['$', '$', false]];

export function mathRules(md: InstanceType<typeof MarkdownIt>): void {
  md.inline.ruler.before('escape', 'math', (state, silent) => {
    const here = state.pos;
    const form = FORMS.find(([open]) => state.src.startsWith(open, here));
    if (!form) return false;
    const [open, close, display] = form;
    const from = here + open.length;
    const to = state.src.indexOf(close, from);
    if (to < 0 || to === from) return false;
    const tex = state.src.slice(from, to);
    // `$5 and $6` is money: no space inside the signs, no digit behind them.
    if (open === '$' && (/^\s|\s$|\n\n/.test(tex) || /\d/.test(state.src[to + 1] ?? ''))) return false;
    if (!silent) {
      const token = state.push('math', 'span', 0);
      token.content = tex;
      token.meta = { display };
    }
    state.pos = to + close.length;
    return true;
  });

  md.block.ruler.before('paragraph', 'math_block', (state, line, lastLine, silent) => {
    const lineText = (n: number) => state.src.slice(state.bMarks[n] + state.tShift[n], state.eMarks[n]);
    const opening = lineText(line).trim();
    const close = opening.startsWith('$$') ? '$$' : opening.startsWith('\\[') ? '\\]' : undefined;
    if (!close) return false;
    const lines = [opening.slice(2)];
    let end = line;
    while (!lines[lines.length - 1].trim().endsWith(close)) {
      end++;
      if (end >= lastLine) return false;
      lines.push(lineText(end));
    }
    if (silent) return true;
    const token = state.push('math', 'p', 0);
    token.block = true;
    token.content = lines.join('\n').trim().slice(0, -2);
    token.meta = { display: true };
    token.map = [line, end + 1];
    state.line = end + 1;
    return true;
  }, { alt: ['paragraph'] });

  md.renderer.rules.math = (tokens, i) => {
    const { tag, content, meta } = tokens[i];
    return `<${tag} class="math${meta?.display ? ' display' : ''}">${md.utils.escapeHtml(content)}</${tag}>`;
  };
}
