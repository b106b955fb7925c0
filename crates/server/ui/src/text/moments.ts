// Time stamps and page references in an answer.

export interface Reference {
  start: number;
  end: number;
  seconds?: number;
  page?: number;
}

// `01:02:03.5`, `1:05`, `<12.5 seconds>`, `12.5s`, `12.5 秒`.
const CLOCK = /(?<![\d:.])(?:(\d{1,2}):)?(\d{1,2}):([0-5]\d(?:\.\d+)?)(?![\d:])/g;
const SECONDS = /(?<![\w.])(\d+(?:\.\d+)?)\s?(?:seconds?\b|secs?\b|s\b|秒)/gi;
// `page 3`, `pp. 3`, `p. 3`, `第 3 页`.
const PAGE = /(?<!\w)(?:pages?|pp?\.)\s*(\d{1,4})\b|第\s*(\d{1,4})\s*页/gi;

export function findTimes(text: string): Reference[] {
  const found: Reference[] = [];
  for (const m of text.matchAll(CLOCK)) {
    found.push({ start: m.index, end: m.index + m[0].length, seconds: Number(m[1] ?? 0) * 3600 + Number(m[2]) * 60 + Number(m[3]) });
  }
  for (const m of text.matchAll(SECONDS)) found.push({ start: m.index, end: m.index + m[0].length, seconds: Number(m[1]) });
  return tidy(found);
}

export function findPages(text: string): Reference[] {
  const found = [...text.matchAll(PAGE)].map((m) => ({ start: m.index, end: m.index + m[0].length, page: Number(m[1] ?? m[2]) }));
  return tidy(found.filter((r) => r.page > 0));
}

function tidy(found: Reference[]): Reference[] {
  found.sort((a, b) => a.start - b.start);
  return found.filter((r, i) => i === 0 || r.start >= found[i - 1].end);
}
