// Above the chat: the clip or the document that an answer points into.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Attachment } from '../state/tree';
import { t } from '../i18n/words';
import { Icon } from './icon';
import { useUrl } from './thumb';

export const stage = signal<{ file: Attachment; seconds?: number; page?: number } | undefined>(undefined);

export function Stage() {
  const shown = stage.value;
  return shown ? <Open key={shown.file.id} {...shown} /> : null;
}

function Open({ file, seconds, page }: { file: Attachment; seconds?: number; page?: number }) {
  const url = useUrl(file);
  return (
    <section class="stage" aria-label={file.name}>
      <div class="row between"><h2>{file.name}{page ? `, ${t('page', { n: String(page) })}` : ''}</h2>
        <button type="button" class="quiet" aria-label={t('close')} onClick={() => { stage.value = undefined; }}><Icon name="close" /></button></div>
      {file.url ? <p><a href={file.url} target="_blank" rel="noopener noreferrer">{file.url}</a></p>
        : !url ? null
        : file.kind === 'video' ? <Player url={url} seconds={seconds} name={file.name} />
        : <>
          <iframe class="document" key={page} title={file.name} src={`${url}#page=${page ?? 1}`} />
          <p class="faint"><a href={`${url}#page=${page ?? 1}`} target="_blank" rel="noopener">{t('openTab')}</a></p>
        </>}
    </section>
  );
}

function Player({ url, seconds, name }: { url: string; seconds?: number; name: string }) {
  const video = useRef<HTMLVideoElement>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const v = video.current;
    if (!v || seconds === undefined) return;
    const jump = () => { v.currentTime = Math.min(seconds, v.duration || seconds); };
    if (v.readyState > 0) jump();
    else v.addEventListener('loadedmetadata', jump, { once: true });
    return () => v.removeEventListener('loadedmetadata', jump);
  });
  if (broken) return <p>{t('cannotPlay')} <a href={url} download={name}>{t('downloadFile')}</a></p>;
  return <video ref={video} controls preload="auto" src={url} aria-label={name} onError={() => setBroken(true)} />;
}
