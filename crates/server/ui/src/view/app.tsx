// The page: bar, left, centre, right, bottom; and the "Server" tab in the centre's place.
import { useEffect } from 'preact/hooks';
import { look, reach } from '../api/client';
import { isRunning, stop } from '../api/answer';
import { language, theme } from '../state/settings';
import { current } from '../state/library';
import { take, takeUrl, takeUrlOfFile } from '../media/intake';
import { t } from '../i18n/words';
import { BottomBar } from './bottom-bar';
import { Chat } from './chat';
import { CameraDialog } from './camera';
import { Conversations } from './conversations';
import { FilesPanel } from './files-panel';
import { HtmlPreview } from './html-preview';
import { Icon } from './icon';
import { ParamsPanel } from './params-panel';
import { RequestCode } from './request-code';
import { closeDrawers, left, narrow, right, tab, toggle } from './rooms';
import { ServerTab } from './server-tab';
import { toast, Toasts } from './toast';
import { Viewer } from './viewer';

export function App() {
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      const field = (event.target as Element).closest?.('input, textarea:not(#question)');
      // Into the question an address of a file goes as a file; other fields take it as the text that it is.
      if (!files.length && (field || !takeUrlOfFile(event.clipboardData?.getData('text/plain') ?? ''))) return;
      event.preventDefault();
      void take(files);
    };
    const keys = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || document.querySelector('dialog[open]')) return;
      if (narrow.value && (left.value || right.value)) closeDrawers();
      else if (isRunning(current.value.value)) stop(current.value.value);
    };
    const drag = (event: DragEvent) => {
      const data = event.dataTransfer;
      const address = data?.types.includes('text/uri-list') && !(event.target as Element).closest?.('input, textarea');
      if (!data || !(data.types.includes('Files') || address)) return;
      event.preventDefault();
      document.body.classList.toggle('dragging', event.type === 'dragover');
      if (event.type !== 'drop') return;
      if (data.files.length) void take([...data.files]);
      // A picture that is dragged over from another page.
      else if (!takeUrl(data.getData('text/uri-list').split(/\r?\n/).find((line) => line && !line.startsWith('#')) ?? '')) toast(t('addressWrong'), 'bad');
    };
    const leave = (event: DragEvent) => { if (!event.relatedTarget) document.body.classList.remove('dragging'); };
    // A server that went away is asked again, and when the tab is looked at anew.
    const retry = setInterval(() => { if (reach.value === 'away' && !document.hidden) void look(); }, 3000);
    document.addEventListener('paste', paste);
    document.addEventListener('keydown', keys);
    for (const type of ['dragover', 'drop'] as const) document.addEventListener(type, drag);
    document.addEventListener('dragleave', leave);
    return () => clearInterval(retry);
  }, []);

  return (
    <>
      <a class="skip" href={tab.value === 'chat' ? '#question' : '#server'}>{t(tab.value === 'chat' ? 'skip' : 'skipServer')}</a>
      <header class="bar">
        <button type="button" class="quiet" aria-expanded={left.value} aria-controls="left" onClick={() => toggle(left)}><Icon name="menu" /><span class="sr">{t('leftPanel')}</span></button>
        <h1>vlgate</h1>
        <nav class="tabs" aria-label={t('views')}>
          {(['chat', 'server'] as const).map((name) => (
            <button key={name} type="button" aria-current={tab.value === name ? 'page' : undefined} onClick={() => { tab.value = name; }}>{t(name === 'chat' ? 'tabChat' : 'tabServer')}</button>
          ))}
        </nav>
        <span class="grow" />
        <label class="pick"><span class="sr">{t('language')}</span>
          <select value={language.value} onChange={(e) => { language.value = e.currentTarget.value as 'en' | 'zh'; }}>
            <option value="en">English</option><option value="zh">中文</option>
          </select>
        </label>
        <label class="pick"><span class="sr">{t('colours')}</span>
          <select value={theme.value} onChange={(e) => { theme.value = e.currentTarget.value as typeof theme.value; }}>
            <option value="auto">{t('themeAuto')}</option><option value="light">{t('themeLight')}</option><option value="dark">{t('themeDark')}</option>
          </select>
        </label>
        <button type="button" class="quiet" aria-expanded={right.value} aria-controls="right" onClick={() => toggle(right)}><Icon name="sliders" /><span class="sr">{t('rightPanel')}</span></button>
      </header>
      {reach.value === 'away' && <div class="banner bad" role="alert">{t('away')} <button type="button" onClick={() => void look()}>{t('tryAgain')}</button></div>}
      {reach.value === 'key' && <div class="banner" role="alert">{t('needsKey')} <button type="button" onClick={() => { closeDrawers(); right.value = true; setTimeout(() => document.getElementById('api-key')?.focus()); }}>{t('enterKey')}</button></div>}
      <div class={`rooms ${left.value ? 'with-left' : ''} ${right.value ? 'with-right' : ''}`}>
        {narrow.value && (left.value || right.value) && <div class="shade" onClick={closeDrawers} />}
        <aside id="left" aria-label={t('leftPanel')} hidden={!left.value}><FilesPanel /><Conversations onOpen={() => { tab.value = 'chat'; closeDrawers(); }} /></aside>
        {tab.value === 'chat' ? <Chat /> : <ServerTab />}
        <aside id="right" aria-label={t('rightPanel')} hidden={!right.value}><ParamsPanel /></aside>
      </div>
      <BottomBar />
      <Viewer /><CameraDialog /><RequestCode /><HtmlPreview /><Toasts />
      <div class="drop-hint" aria-hidden="true">{t('dropHere')}</div>
    </>
  );
}
