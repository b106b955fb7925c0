// Boxes and points in an answer. Qwen3-VL writes JSON with `bbox_2d` or `point_2d` from 0 to 1000; older ones `<box>` forms.

export interface Mark {
  kind: 'box' | 'point';
  /** x1 y1 x2 y2, or x y twice, from 0 to 1000. */
  at: [number, number, number, number];
  label: string;
  /** Which picture of the question, from 0, where the answer says so. */
  picture?: number;
  /** Where it stands in the text. */
  start: number;
  end: number;
  /** What to show in place of the markup; the text itself when missing. */
  shown?: string;
}

const NUMBER = String.raw`\s*(-?\d+(?:\.\d+)?)\s*`;
const PAIR = String.raw`[(\[]${NUMBER},${NUMBER}[)\]]`;
const OBJECT = new RegExp(String.raw`"(bbox_2d|bbox|box_2d|point_2d|point|coordinate)"\s*:\s*\[${NUMBER},${NUMBER}(?:,${NUMBER},${NUMBER})?\]`, 'g');
const TAGGED = new RegExp(
  String.raw`(?:(?:<ref>|<\|object_ref_start\|>)([\s\S]{0,200}?)(?:</ref>|<\|object_ref_end\|>)\s*)?(?:<box>|<\|box_start\|>)\s*\[?(?:${PAIR}\s*,?\s*${PAIR}|[(\[]?${NUMBER},${NUMBER},${NUMBER},${NUMBER}[)\]]?)\s*\]?\s*(?:</box>|<\|box_end\|>)`,
  'g',
);
const POINT_TAG = /<point\s+x="?([\d.]+)"?\s+y="?([\d.]+)"?(?:\s+alt="([^"]*)")?\s*>([\s\S]{0,200}?)<\/point>/g;
const LABEL = /"(?:label|name|text_content|text|description|class|sub_label)"\s*:\s*"((?:[^"\\]|\\.){0,300})"/;
const PICTURE = /"(?:image|image_index|image_id)"\s*:\s*(\d+)/;

/** More than anybody looks at; an answer may be a megabyte of them. */
const MOST = 500;
/** How far the braces around a key are looked for. */
const NEAR = 600;

/** All marks, in the order of the text. Works on half an answer too. */
export function findMarks(text: string): Mark[] {
  const marks: Mark[] = [];
  const begun = new Set<number>();
  for (const m of text.matchAll(OBJECT)) {
    if (marks.length >= MOST) break;
    const numbers = m.slice(2).filter((n) => n !== undefined).map(Number);
    const { start, end } = objectAround(text, m.index, m.index + m[0].length);
    const inside = text.slice(start, end);
    const label = unescape(inside.match(LABEL)?.[1] ?? '');
    const picture = inside.match(PICTURE)?.[1];
    const mark = toMark(numbers, label, start, end);
    if (!mark || begun.has(start)) continue;
    begun.add(start);
    marks.push(picture ? { ...mark, picture: Number(picture) } : mark);
  }
  for (const m of text.matchAll(TAGGED)) {
    const numbers = m.slice(2).filter((n) => n !== undefined).map(Number);
    const label = (m[1] ?? '').trim();
    const mark = toMark(numbers, label, m.index, m.index + m[0].length);
    if (mark) marks.push({ ...mark, shown: label || `[${numbers.join(', ')}]` });
  }
  for (const m of text.matchAll(POINT_TAG)) {
    const label = (m[4] || m[3] || '').trim();
    // Molmo's points go from 0 to 100.
    const mark = toMark([Number(m[1]) * 10, Number(m[2]) * 10], label, m.index, m.index + m[0].length);
    if (mark) marks.push({ ...mark, shown: label || `(${m[1]}, ${m[2]})` });
  }
  return marks.sort((a, b) => a.start - b.start).slice(0, MOST);
}

function toMark(n: number[], label: string, start: number, end: number): Mark | undefined {
  if (n.length === 2) return { kind: 'point', at: [n[0], n[1], n[0], n[1]], label, start, end };
  if (n.length !== 4) return undefined;
  const at: Mark['at'] = [Math.min(n[0], n[2]), Math.min(n[1], n[3]), Math.max(n[0], n[2]), Math.max(n[1], n[3])];
  return { kind: 'box', at, label, start, end };
}

/** The braces around a key, when they are near and hold this one object. */
function objectAround(text: string, from: number, to: number): { start: number; end: number } {
  const before = text.slice(Math.max(0, from - NEAR), from);
  const open = before.lastIndexOf('{');
  if (open < 0 || before.lastIndexOf('}') > open) return { start: from, end: to };
  const behind = text.slice(to, to + NEAR);
  const close = behind.indexOf('}');
  const nextOpen = behind.indexOf('{');
  if (close < 0 || (nextOpen >= 0 && nextOpen < close)) return { start: from, end: to };
  return { start: from - before.length + open, end: to + close + 1 };
}

function unescape(label: string): string {
  try {
    return JSON.parse(`"${label}"`);
  } catch {
    return label;
  }
}

/** Marks that an answer gave in pixels (Qwen2.5-VL does) come back from 0 to 1000: a number beyond 1000 tells them apart. */
export function relative(marks: Mark[], width: number | undefined, height: number | undefined): Mark[] {
  if (!width || !height || !marks.some((m) => m.at.some((n) => n > 1000))) return marks;
  const [x, y] = [1000 / width, 1000 / height];
  return marks.map((m) => ({ ...m, at: [m.at[0] * x, m.at[1] * y, m.at[2] * x, m.at[3] * y] }));
}
