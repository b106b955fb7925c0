// Boxes, points and labels over a picture that fills the same place.
import type { Mark } from '../text/grounding';

/** Colours that keep apart on light and dark pictures, in turn. */
const COLOURS = ['#e6194b', '#0a84ff', '#12a150', '#f58231', '#a736e0', '#00a5b5', '#d4a106', '#f032a6'];
export const colourOf = (i: number): string => COLOURS[i % COLOURS.length];

const percent = (n: number): string => `${Math.min(1000, Math.max(0, n)) / 10}%`;

interface Props {
  marks: Mark[];
  hot?: number;
  /** The index of each mark in the answer. */
  indices?: number[];
  onHot?: (i: number | undefined) => void;
}

export function Overlay({ marks, hot, indices, onHot }: Props) {
  return (
    <div class="overlay" aria-hidden="true">
      {marks.map((m, n) => {
        const i = indices?.[n] ?? n;
        const [x1, y1, x2, y2] = m.at;
        // A second name for the same place stands above the first.
        const before = marks.slice(0, n).filter((o) => o.label && o.kind === m.kind && o.at.every((x, k) => Math.abs(x - m.at[k]) < 8)).length;
        const style = m.kind === 'box'
          ? { left: percent(x1), top: percent(y1), width: percent(x2 - x1), height: percent(y2 - y1), '--colour': colourOf(i) }
          : { left: percent(x1), top: percent(y1), '--colour': colourOf(i) };
        return (
          <div key={i} class={`${m.kind} ${hot === i ? 'hot' : ''} ${hot !== undefined && hot !== i ? 'cold' : ''} ${y1 < 60 ? 'label-in' : ''}`} style={style} onMouseEnter={() => onHot?.(i)} onMouseLeave={() => onHot?.(undefined)}>
            {m.label && <span style={before ? { marginBottom: `${before * 20}px`, marginTop: `${before * 20}px` } : undefined}>{m.label}</span>}
          </div>
        );
      })}
    </div>
  );
}
