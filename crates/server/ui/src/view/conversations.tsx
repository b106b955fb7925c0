// Left, below the files: every conversation that this browser keeps.
import { useRef, useState } from 'preact/hooks';
import { download } from '../export/download';
import { fromJson, toJson } from '../export/save';
import { unkept } from '../state/database';
import { add, currentId, listed, remove, rename, search, start } from '../state/library';
import { isRunning } from '../api/answer';
import type { Conversation } from '../state/tree';
import { t } from '../i18n/words';
import { Icon } from './icon';
import { tab } from './rooms';
import { toast } from './toast';

export async function loadFile(file: File): Promise<void> {
  try {
    const found = await fromJson(await file.text());
    for (const c of found.reverse()) add(c);
    tab.value = 'chat';
    toast(t('loaded', { n: String(found.length) }));
  } catch {
    toast(t('notLoaded', { name: file.name }), 'bad');
  }
}

export function Conversations({ onOpen }: { onOpen: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <section class="panel grow" aria-labelledby="conversations-title">
      <div class="row between">
        <h2 id="conversations-title">{t('conversations')}</h2>
        <button type="button" class="small" onClick={() => { start(); onOpen(); setTimeout(() => document.getElementById('question')?.focus()); }}><Icon name="plus" />{t('newConversation')}</button>
      </div>
      <input type="search" aria-label={t('search')} placeholder={t('search')} value={search.value} onInput={(e) => { search.value = e.currentTarget.value; }} />
      <ul class="conversations">
        {listed.value.map((c) => <Row key={c.id} c={c} onOpen={onOpen} />)}
      </ul>
      {unkept.value && <p class="wrong" role="status">{t(unkept.value === 'none' ? 'unkeptNone' : 'unkeptFull')}</p>}
      {!listed.value.length && unkept.value !== 'none' && <p class="faint">{t(search.value ? 'nothingFound' : 'noConversations')}</p>}
      <div class="row">
        <button type="button" class="small" onClick={() => input.current?.click()}><Icon name="open" />{t('importAll')}</button>
        <button type="button" class="small" disabled={!listed.value.length} onClick={async () => download(await toJson(listed.value), 'vlgate-conversations.json')}><Icon name="download" />{t('exportAll')}</button>
        <input ref={input} type="file" accept=".json,application/json" class="sr" tabIndex={-1} aria-label={t('importAll')} onChange={(e) => { const f = e.currentTarget.files?.[0]; if (f) void loadFile(f); e.currentTarget.value = ''; }} />
      </div>
    </section>
  );
}

function Row({ c, onOpen }: { c: Conversation; onOpen: () => void }) {
  const [naming, setNaming] = useState(false);
  const title = c.title || t('untitled');
  const done = (text: string) => { rename(c.id, text); setNaming(false); };
  if (naming) {
    return (
      <li><input type="text" class="grow" aria-label={t('rename')} defaultValue={title} ref={(el) => el?.focus()}
        onKeyDown={(e) => { if (e.key === 'Enter') done(e.currentTarget.value); if (e.key === 'Escape') { e.stopPropagation(); setNaming(false); } }} onBlur={(e) => done(e.currentTarget.value)} /></li>
    );
  }
  return (
    <li class={c.id === currentId.value ? 'here' : ''}>
      <button type="button" class="title" aria-current={c.id === currentId.value ? 'true' : undefined} title={title} onClick={() => { currentId.value = c.id; onOpen(); }}>{isRunning(c) && <span class="dot" aria-label={t('writing')} role="img" />}{title}</button>
      <button type="button" class="quiet small" aria-label={`${t('rename')}: ${title}`} onClick={() => setNaming(true)}><Icon name="edit" /></button>
      <button type="button" class="quiet small" aria-label={`${t('delete')}: ${title}`} onClick={() => { const back = remove(c.id); toast(t('deleted', { title }), 'plain', back); }}><Icon name="trash" /></button>
    </li>
  );
}
