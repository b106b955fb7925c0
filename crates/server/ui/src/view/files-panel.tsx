// Left: pictures, clips and documents for the next question, and those of this conversation.
import { useRef, useState } from 'preact/hooks';
import { ACCEPT, discard, take, takeUrl } from '../media/intake';
import { current, pending } from '../state/library';
import { attachmentsOf, path, type Attachment } from '../state/tree';
import { t } from '../i18n/words';
import { camera } from './camera';
import { Icon } from './icon';
import { show } from './viewer';
import { Thumb } from './thumb';

export function FilesPanel() {
  const input = useRef<HTMLInputElement>(null);
  const [address, setAddress] = useState('');
  const [wrong, setWrong] = useState(false);
  const here = new Set(pending.value.map((a) => a.id));
  const used = attachmentsOf(path(current.value.value)).filter((a) => !here.has(a.id));
  const addAddress = (event: Event) => {
    event.preventDefault();
    const fits = takeUrl(address);
    setWrong(!fits);
    if (fits) setAddress('');
  };
  return (
    <section class="panel" aria-labelledby="files-title">
      <h2 id="files-title">{t('files')}</h2>
      <button type="button" class="drop" onClick={() => input.current?.click()}>
        <Icon name="upload" /><strong>{t('choose')}</strong><small>{t('chooseHint')}</small>
      </button>
      <input ref={input} id="file-input" type="file" multiple accept={ACCEPT} class="sr" tabIndex={-1} aria-label={t('choose')} onChange={(e) => { void take([...(e.currentTarget.files ?? [])]); e.currentTarget.value = ''; }} />
      <form class="row" onSubmit={addAddress}>
        <input type="text" inputMode="url" aria-label={t('address')} placeholder={t('addressHint')} value={address} aria-invalid={wrong} onInput={(e) => { setAddress(e.currentTarget.value); setWrong(false); }} />
        <button type="submit" aria-label={t('addAddress')}><Icon name="plus" /></button>
        <button type="button" aria-label={t('takePhoto')} onClick={() => { camera.value = true; }}><Icon name="camera" /></button>
      </form>
      {wrong && <p class="wrong" role="alert">{t('addressWrong')}</p>}
      {pending.value.length > 0 && <>
        <h3>{t('forNext')}</h3>
        <Thumbs files={pending.value} remove />
      </>}
      {used.length > 0 && <>
        <h3>{t('inConversation')}</h3>
        <Thumbs files={used} />
      </>}
    </section>
  );
}

function Thumbs({ files, remove }: { files: Attachment[]; remove?: boolean }) {
  return (
    <ul class="thumbs">
      {files.map((a) => <li key={a.id}><Thumb file={a} onOpen={() => show(a)} onRemove={remove ? () => discard(a.id) : undefined} /></li>)}
    </ul>
  );
}
