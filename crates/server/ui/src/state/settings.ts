// What a person chose: parameters, language, colours, the key. Kept in the browser; the key only for this tab unless asked.
import { effect, signal } from '@preact/signals';
import type { Params } from './tree';

export const DEFAULTS: Params = {
  model: '', system: '', temperature: '', top_p: '', top_k: '', max_tokens: '', seed: '', stop: '',
  detail: 'auto', format: 'text', schema: '', tools: '',
};

function read<T>(store: Storage | undefined, key: string, otherwise: T): T {
  try {
    const text = store?.getItem(key);
    return text ? (JSON.parse(text) as T) : otherwise;
  } catch {
    return otherwise;
  }
}

function write(store: Storage | undefined, key: string, value: unknown): void {
  try {
    if (value === '' || value === undefined) store?.removeItem(key);
    else store?.setItem(key, JSON.stringify(value));
  } catch {
    // A full or forbidden store: the choice lasts as long as the page.
  }
}

const local = (() => { try { return localStorage; } catch { return undefined; } })();
const tab = (() => { try { return sessionStorage; } catch { return undefined; } })();

/** What lasts as long as the tab. */
export const remembered = <T>(key: string, otherwise: T): T => read(tab, `vlgate.${key}`, otherwise);
export const remember = (key: string, value: unknown): void => write(tab, `vlgate.${key}`, value);

export const params = signal<Params>({ ...DEFAULTS, ...read<Partial<Params>>(local, 'vlgate.params', {}) });
export const theme = signal<'auto' | 'light' | 'dark'>(read(local, 'vlgate.theme', 'auto'));
export const language = signal<'en' | 'zh'>(read(local, 'vlgate.language', navigator.language.startsWith('zh') ? 'zh' : 'en'));
export const keepKey = signal<boolean>(read(local, 'vlgate.keepKey', false));
export const apiKey = signal<string>(read(tab, 'vlgate.key', read(local, 'vlgate.key', '')));

effect(() => write(local, 'vlgate.params', params.value));
effect(() => write(local, 'vlgate.theme', theme.value));
effect(() => write(local, 'vlgate.language', language.value));
effect(() => {
  write(local, 'vlgate.keepKey', keepKey.value);
  write(tab, 'vlgate.key', apiKey.value);
  write(local, 'vlgate.key', keepKey.value ? apiKey.value : '');
});
effect(() => {
  document.documentElement.dataset.theme = theme.value;
  document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en';
});

export function setParam<K extends keyof Params>(key: K, value: Params[K]): void {
  params.value = { ...params.value, [key]: value };
}
