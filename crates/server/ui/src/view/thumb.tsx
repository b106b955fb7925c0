// A file in small.
import { useEffect, useState } from 'preact/hooks';
import { urlOf } from '../media/intake';
import type { Attachment } from '../state/tree';
import { t } from '../i18n/words';
import { Icon } from './icon';

/** The address of a file's bytes, when it is known. */
export function useUrl(a: Attachment): string | undefined {
  const [url, set] = useState<string>();
  useEffect(() => {
    let here = true;
    void urlOf(a).then((u) => { if (here) set(u); });
    return () => { here = false; };
  }, [a.id]);
  return url;
}

export function Thumb({ file, onOpen, onRemove }: { file: Attachment; onOpen: () => void; onRemove?: () => void }) {
  const url = useUrl(file);
  const [broken, breakIt] = useState(false);
  const picture = file.kind === 'image' && !file.url && url && !broken;
  // What the browser cannot draw (HEIC, TIFF) says at least what it is.
  const ending = file.name.match(/\.(\w{1,5})$/)?.[1].toUpperCase() ?? '';
  return (
    <div class="thumb">
      <button type="button" class="thumb-open" onClick={onOpen} title={file.url ?? file.name} aria-label={t('openFile', { name: file.name })}>
        {picture ? <img src={url} alt="" onError={() => breakIt(true)} />
          : file.kind === 'video' && url && !broken ? <video src={`${url}#t=0.1`} preload="metadata" muted tabIndex={-1} aria-hidden="true" onError={() => breakIt(true)} />
          : <span class="thumb-icon"><Icon name={file.url ? 'link' : file.kind === 'video' ? 'play' : file.kind === 'image' ? 'picture' : 'file'} />{ending}</span>}
        {file.kind === 'video' && url && !broken && <span class="thumb-badge"><Icon name="play" /></span>}
      </button>
      {onRemove && <button type="button" class="thumb-remove" aria-label={t('removeFile', { name: file.name })} onClick={onRemove}>×</button>}
      <span class="thumb-name">{file.name}</span>
    </div>
  );
}
