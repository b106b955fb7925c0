// An answer's boxes and points over the picture that it speaks of, each with a chip for keyboard, touch and screen reader.
import { useState } from 'preact/hooks';
import { relative, type Mark } from '../text/grounding';
import type { Attachment } from '../state/tree';
import { t } from '../i18n/words';
import { colourOf, Overlay } from './overlay';
import { show } from './viewer';
import { useUrl } from './thumb';

const SMALL = 200;

interface Props {
  pictures: Attachment[];
  marks: Mark[];
  hot?: number;
  onHot: (i: number | undefined) => void;
}

export function MarkedPicture({ pictures, marks, hot, onHot }: Props) {
  const named = marks.find((m) => m.picture !== undefined)?.picture;
  const [chosen, choose] = useState<number>();
  const at = Math.min(chosen ?? named ?? 0, pictures.length - 1);
  const file = pictures[at];
  const here = marks.map((m, i) => ({ m, i })).filter(({ m }) => m.picture === undefined || m.picture === at || m.picture >= pictures.length);
  const placed = relative(here.map(({ m }) => m), file.width, file.height);
  const indices = here.map(({ i }) => i);
  return (
    <figure class="marked">
      {pictures.length > 1 && (
        <div class="row which" role="group" tabIndex={0} aria-label={t('whichPicture')}>
          {pictures.map((p, i) => <button key={p.id} type="button" class="small" aria-pressed={i === at} onClick={() => choose(i)}>{i + 1}. {p.name}</button>)}
        </div>
      )}
      <Picture file={file} marks={placed} indices={indices} hot={hot} onHot={onHot} />
      <figcaption>
        <ul class="chips" aria-label={t('marks')}>
          {placed.map((m, n) => (
            <li key={indices[n]}>
              <button type="button" class={`chip ${hot === indices[n] ? 'hot' : ''}`} style={{ '--colour': colourOf(indices[n]) }} title={t('lookAtPart')}
                aria-label={`${m.label || t(m.kind)}: ${m.at.slice(0, m.kind === 'box' ? 4 : 2).map(Math.round).join(', ')}`}
                onMouseEnter={() => onHot(indices[n])} onMouseLeave={() => onHot(undefined)} onFocus={() => onHot(indices[n])} onBlur={() => onHot(undefined)}
                onClick={() => show(file, { marks: [m], indices: [indices[n]], part: m.kind === 'box' ? m.at : undefined })}>{m.label || `${t(m.kind)} ${indices[n] + 1}`}</button>
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}

function Picture({ file, marks, indices, hot, onHot }: { file: Attachment; marks: Mark[]; indices: number[]; hot?: number; onHot: Props['onHot'] }) {
  const url = useUrl(file);
  if (file.url) return <p class="faint">{t('remoteNoBoxes')}</p>;
  // A very small picture is shown larger, so that its boxes do not hide under their labels.
  const longest = Math.max(file.width ?? 0, file.height ?? 0);
  const style = file.width && longest < SMALL ? { width: `${(file.width * SMALL) / longest}px` } : undefined;
  return (
    <div class="picture">
      {url && <img src={url} alt={file.name} width={file.width} height={file.height} style={style} />}
      <Overlay marks={marks} indices={indices} hot={hot} onHot={onHot} />
    </div>
  );
}
