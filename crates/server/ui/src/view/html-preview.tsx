// An HTML answer, alive, in a frame that has an origin of its own and no network (its policy comes with /ui/preview.html).
import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/words';
import { Dialog } from './dialog';

export const previewed = signal<string | undefined>(undefined);

export function HtmlPreview() {
  return previewed.value === undefined ? null : <Open html={previewed.value} />;
}

function Open({ html }: { html: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  // Before the frame can run anything: its "ready" must not come while nobody listens.
  useLayoutEffect(() => {
    const hand = (event: MessageEvent) => {
      if (event.source === frame.current?.contentWindow && event.data === 'ready') frame.current?.contentWindow?.postMessage({ html }, '*');
    };
    addEventListener('message', hand);
    return () => removeEventListener('message', hand);
  }, [html]);
  return (
    <Dialog wide title={t('preview')} onClose={() => { previewed.value = undefined; }}>
      <iframe ref={frame} class="preview" title={t('preview')} sandbox="allow-scripts" src="/ui/preview.html" />
      <p class="faint">{t('previewNote')}</p>
    </Dialog>
  );
}
