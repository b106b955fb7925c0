// Bottom: what can be done with the whole conversation.
import { useRef } from 'preact/hooks';
import { isRunning } from '../api/answer';
import { codeFiles, zip } from '../export/code-files';
import { download, fileName } from '../export/download';
import { toJson, toMarkdown } from '../export/save';
import { current, remove, start } from '../state/library';
import { path } from '../state/tree';
import { t } from '../i18n/words';
import { loadFile } from './conversations';
import { Icon } from './icon';
import { toast } from './toast';
import { shown } from './request-code';

export function BottomBar() {
  const input = useRef<HTMLInputElement>(null);
  const c = current.value.value;
  const turns = path(c);
  const empty = !turns.length;
  const name = fileName(c.title);
  const code = isRunning(c) ? [] : codeFiles(turns);
  const clear = () => {
    const back = remove(c.id);
    start();
    toast(t('cleared'), 'plain', back);
  };
  return (
    <footer class="bottom" aria-label={t('bottomBar')}>
      <button type="button" disabled={empty} onClick={clear}><Icon name="trash" /><span>{t('clear')}</span></button>
      <button type="button" disabled={empty} onClick={async () => download(await toJson([c]), `${name}.json`)}><Icon name="save" /><span>{t('saveJson')}</span></button>
      <button type="button" disabled={empty} onClick={() => download(toMarkdown(c), `${name}.md`, 'text/markdown')}><Icon name="file" /><span>{t('saveMarkdown')}</span></button>
      <button type="button" onClick={() => input.current?.click()}><Icon name="open" /><span>{t('load')}</span></button>
      <input ref={input} id="load-input" type="file" accept=".json,application/json" class="sr" tabIndex={-1} aria-label={t('load')} onChange={(e) => { const f = e.currentTarget.files?.[0]; if (f) void loadFile(f); e.currentTarget.value = ''; }} />
      <button type="button" disabled={!code.length} onClick={() => download(zip(code), `${name}.zip`)}><Icon name="download" /><span>{t('exportCode')}{code.length ? ` (${code.length})` : ''}</span></button>
      <button type="button" disabled={empty} onClick={() => { shown.value = turns.at(-1)?.id; }}><Icon name="code" /><span>{t('asCode')}</span></button>
    </footer>
  );
}
