// A modal dialog; the browser keeps the focus inside and gives it back.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/words';
import { Icon } from './icon';
import { Toasts } from './toast';

export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={ref} class={wide ? 'wide' : ''} aria-label={title} onClose={onClose} onClick={(e) => { if (e.target === ref.current) onClose(); }}>
      <div class="dialog-head"><h2>{title}</h2><button type="button" class="quiet" aria-label={t('close')} onClick={onClose}><Icon name="close" /></button></div>
      <div class="dialog-body">{children}</div>
      <Toasts />
    </dialog>
  );
}
