// Words in the language that was chosen.
import { language } from '../state/settings';
import { en } from './en';
import { zh } from './zh';

export type Word = keyof typeof en;

export function t(word: Word, values: Record<string, string> = {}): string {
  const text = (language.value === 'zh' ? zh : en)[word];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
}
