// Lines over the last minutes.
import { EVERY, type Values } from '../metrics/history';
import { t } from '../i18n/words';

export interface Line {
  name: string;
  values: Values;
  colour: string;
}

const [WIDTH, HEIGHT] = [300, 90];

const short = (n: number): string => (n >= 1e9 ? `${(n / 1e9).toFixed(1)}G` : n >= 1e6 ? `${(n / 1e6).toFixed(1)}M` : n >= 1e4 ? `${(n / 1e3).toFixed(1)}k` : String(Math.round(n * 10) / 10));

/** The next 1, 2 or 5 times a power of ten. */
function ceiling(n: number): number {
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((f) => f * power).find((f) => f >= n) ?? n;
}

export function Plot({ title, lines, most, unit = '', slots }: { title: string; lines: Line[]; most?: number; unit?: string; slots: number }) {
  const known = lines.filter((l) => l.values.some((v) => v !== undefined));
  const top = most ?? ceiling(Math.max(0, ...known.flatMap((l) => l.values.filter((v) => v !== undefined))));
  const now = known.map((l) => `${l.name} ${short(l.values.findLast((v) => v !== undefined) ?? 0)}${unit}`).join(', ');
  return (
    <figure class="plot">
      <figcaption>{title}</figcaption>
      {known.length ? (
        <>
          <div class="plot-area">
            <span class="plot-top" aria-hidden="true">{short(top)}{unit}</span>
            <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}: ${now}`}>
              {[0, 0.5, 1].map((y) => <line key={y} class="grid" x1={0} x2={WIDTH} y1={1 + y * (HEIGHT - 2)} y2={1 + y * (HEIGHT - 2)} vector-effect="non-scaling-stroke" />)}
              {known.map((l, n) => <g key={l.name}>{runs(l.values, top, slots).map((run, i) => <g key={i}>
                {n === 0 && <path d={`M${run.join('L')}V${HEIGHT - 1}H${run[0].split(' ')[0]}Z`} fill={l.colour} fill-opacity={0.12} />}
                <path d={`M${run.join('L')}`} stroke={l.colour} fill="none" vector-effect="non-scaling-stroke" />
              </g>)}</g>)}
            </svg>
            <div class="plot-time" aria-hidden="true"><span>{t('ago', { n: String(Math.round(((slots - 1) * EVERY) / 1000)) })}</span><span>{t('now')}</span></div>
          </div>
          <ul class="legend">{known.map((l) => <li key={l.name}><i style={{ background: l.colour }} />{l.name} <strong>{short(l.values.findLast((v) => v !== undefined) ?? 0)}{unit}</strong></li>)}</ul>
        </>
      ) : <p class="faint">{t('notReported')}</p>}
    </figure>
  );
}

/** The points of each stretch without a gap. */
function runs(values: Values, top: number, slots: number): string[][] {
  const found: string[][] = [];
  let open: string[] | undefined;
  values.forEach((v, i) => {
    if (v === undefined) {
      open = undefined;
      return;
    }
    if (!open) found.push(open = []);
    const x = WIDTH - ((values.length - 1 - i) / (slots - 1)) * WIDTH;
    open.push(`${x.toFixed(1)} ${(HEIGHT - 1 - (Math.min(v, top) / (top || 1)) * (HEIGHT - 2)).toFixed(1)}`);
  });
  return found;
}
