// One file in large: a picture with what the model sees of it, its boxes, and a part to ask about.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { modelInfo } from '../api/client';
import { crop } from '../media/crop';
import { megabytes, pending } from '../media/intake';
import { seen } from '../media/resize';
import { params } from '../state/settings';
import type { Attachment } from '../state/tree';
import type { Mark } from '../text/grounding';
import { t } from '../i18n/words';
import { Dialog } from './dialog';
import { Icon } from './icon';
import { Overlay } from './overlay';
import { stage } from './stage';
import { useUrl } from './thumb';

interface Shown {
  file: Attachment;
  marks?: Mark[];
  /** Their places in the answer, which give them their colours. */
  indices?: number[];
  /** The part that is marked at first. */
  part?: Part;
}
type Part = [number, number, number, number];

const open = signal<Shown | undefined>(undefined);

/** Clips and documents go on the stage above the chat, pictures into a dialog. */
export function show(file: Attachment, more: Omit<Shown, 'file'> = {}): void {
  if (file.kind === 'image') open.value = { file, ...more };
  else stage.value = { file };
}

export function Viewer() {
  return open.value ? <Open key={open.value.file.id} {...open.value} /> : null;
}

function Open({ file, marks = [], indices, part: first }: Shown) {
  const url = useUrl(file);
  const [part, setPart] = useState<Part | undefined>(first);
  const [broken, setBroken] = useState(false);
  const close = () => { open.value = undefined; };
  const vision = modelInfo(params.value.model)?.vision ?? undefined;
  const size = file.width && file.height ? seen(file.width, file.height, params.value.detail, vision) : undefined;
  const ask = async () => {
    const cut = part && (await crop(file, part));
    if (cut) pending.value = [...pending.value, cut];
    close();
    setTimeout(() => document.getElementById('question')?.focus());
  };
  return (
    <Dialog wide title={file.name} onClose={close}>
      {file.url ? <p>{t('remotePicture')} <a href={file.url} target="_blank" rel="noopener noreferrer">{file.url}</a></p>
        : broken ? <p>{t('cannotShow')}</p>
        : url && <Cropper url={url} name={file.name} marks={marks} indices={indices} part={part} onPart={setPart} onBroken={() => setBroken(true)} />}
      <dl class="facts">
        {file.size > 0 && <div><dt>{t('fileSize')}</dt><dd>{megabytes(file.size)}</dd></div>}
        {file.width && <div><dt>{t('pixels')}</dt><dd>{file.width} × {file.height}</dd></div>}
        {size && <div><dt>{t('modelSees')}</dt><dd>{size.width} × {size.height} = {t('tokens', { n: String(size.tokens) })}</dd></div>}
      </dl>
      {!file.url && !broken && (
        <fieldset class="crop">
          <legend>{t('part')}</legend>
          {(['left', 'top', 'right', 'bottom'] as const).map((side, i) => (
            <label key={side}><span>{t(`side_${side}`)}</span>
              <input type="number" min={0} max={1000} value={Math.round((part ?? [0, 0, 1000, 1000])[i])} onInput={(e) => {
                const next = [...(part ?? [0, 0, 1000, 1000])] as Part;
                next[i] = Math.min(1000, Math.max(0, Number(e.currentTarget.value)));
                setPart(next);
              }} />
            </label>
          ))}
          <button type="button" class="main" disabled={!part || part[2] - part[0] < 2 || part[3] - part[1] < 2} onClick={() => void ask()}><Icon name="crop" />{t('askPart')}</button>
          <small class="faint">{t('partHint')}</small>
        </fieldset>
      )}
    </Dialog>
  );
}

function Cropper({ url, name, marks, indices, part, onPart, onBroken }: { url: string; name: string; marks: Mark[]; indices?: number[]; part?: Part; onPart: (p?: Part) => void; onBroken: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const from = useRef<[number, number] | undefined>(undefined);
  const at = (e: PointerEvent): [number, number] => {
    const r = box.current!.getBoundingClientRect();
    const within = (n: number) => Math.min(1000, Math.max(0, n));
    return [within(((e.clientX - r.left) / r.width) * 1000), within(((e.clientY - r.top) / r.height) * 1000)];
  };
  const move = (e: PointerEvent) => {
    if (!from.current) return;
    const [x, y] = at(e);
    const [a, b] = from.current;
    if (Math.hypot(x - a, y - b) > 5) onPart([Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)]);
  };
  useEffect(() => {
    const up = () => { from.current = undefined; };
    addEventListener('pointerup', up);
    return () => removeEventListener('pointerup', up);
  }, []);
  return (
    <div ref={box} class="cropper" onPointerDown={(e) => { from.current = at(e); onPart(undefined); e.preventDefault(); }} onPointerMove={move}>
      <img src={url} alt={name} draggable={false} onError={onBroken} />
      <Overlay marks={marks} indices={indices} />
      {part && <div class="crop-box" style={{ left: `${part[0] / 10}%`, top: `${part[1] / 10}%`, width: `${(part[2] - part[0]) / 10}%`, height: `${(part[3] - part[1]) / 10}%` }} />}
    </div>
  );
}
