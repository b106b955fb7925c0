// One file in large: a picture with what the model sees of it, its boxes, and a part to ask about.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { modelInfo } from '../api/client';
import { crop } from '../media/crop';
import { megabytes } from '../media/intake';
import { getBlob } from '../state/database';
import { pending } from '../state/library';
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

/** Bytes of a text that are shown. */
const LONGEST = 100_000;

const open = signal<Shown | undefined>(undefined);

/** Clips and documents go on the stage above the chat, what has neither times nor pages into a dialog. */
export function show(file: Attachment, more: Omit<Shown, 'file'> = {}): void {
  if (file.kind === 'image' || file.kind === 'file') open.value = { file, ...more };
  else stage.value = { file };
}

export function Viewer() {
  return open.value ? <Open key={open.value.file.id} {...open.value} /> : null;
}

function Open({ file, marks = [], indices, part: first }: Shown) {
  const url = useUrl(file);
  const [part, setPart] = useState<Part | undefined>(first);
  const [broken, setBroken] = useState(false);
  const picture = file.kind === 'image' && !file.url && !broken;
  const close = () => { open.value = undefined; };
  const vision = modelInfo(params.value.model)?.vision ?? undefined;
  const size = file.width && file.height ? seen(file.width, file.height, params.value.detail, vision) : undefined;
  const ask = async () => {
    try {
      const cut = part && (await crop(file, part));
      if (cut) pending.value = [...pending.value, cut];
    } catch {
      return setBroken(true);
    }
    close();
    setTimeout(() => document.getElementById('question')?.focus());
  };
  return (
    <Dialog wide title={file.name} onClose={close}>
      {file.url ? <p>{t('remoteFile')} <a href={file.url} target="_blank" rel="noopener noreferrer">{file.url}</a></p>
        : file.kind === 'file' ? <Text file={file} url={url} />
        : broken ? <p>{t('cannotShow')} <a href={url} download={file.name}>{t('downloadFile')}</a></p>
        : url && <Cropper url={url} name={file.name} marks={marks} indices={indices} part={part} onPart={setPart} onBroken={() => setBroken(true)} />}
      <dl class="facts">
        {file.size > 0 && <div><dt>{t('fileSize')}</dt><dd>{megabytes(file.size)}</dd></div>}
        {file.width && <div><dt>{t('pixels')}</dt><dd>{file.width} × {file.height}</dd></div>}
        {size && <div><dt>{t('modelSees')}</dt><dd>{size.width} × {size.height} = {t('tokens', { n: String(size.tokens) })}</dd></div>}
      </dl>
      {picture && (
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

/** A document that is text, as the text it is: shown as a page it could run. */
function Text({ file, url }: { file: Attachment; url?: string }) {
  const [text, setText] = useState<string>();
  useEffect(() => {
    if (!/^(text\/|application\/json)/.test(file.type)) return;
    let here = true;
    void getBlob(file.id).then((blob) => blob?.slice(0, LONGEST).text()).then((s) => { if (here) setText(s); }, () => {});
    return () => { here = false; };
  }, [file.id]);
  return (
    <>
      {text === undefined ? <p>{t('cannotLook')}</p> : <pre class="snippet" tabIndex={0}>{text}{file.size > LONGEST && '\n…'}</pre>}
      {url && <p><a href={url} download={file.name}>{t('downloadFile')}</a></p>}
    </>
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
