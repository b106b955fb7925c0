// The last minutes of the server's numbers, asked for while somebody looks.
import { signal } from '@preact/signals';
import { headers } from '../api/client';
import { parse, total, type Sample } from './prometheus';

export interface Moment {
  at: number;
  samples: Sample[];
}

/** Milliseconds between two looks. */
export const EVERY = 2000;
const KEPT = 151;

export const moments = signal<Moment[]>([]);
export const trouble = signal<string>('');

let timer: ReturnType<typeof setTimeout> | undefined;

async function ask(): Promise<void> {
  if (!document.hidden) {
    try {
      const response = await fetch('/metrics', { headers: headers() });
      if (!response.ok) throw new Error(`${response.status}`);
      moments.value = [...moments.peek(), { at: Date.now(), samples: parse(await response.text()) }].slice(-KEPT);
      trouble.value = '';
    } catch (error) {
      trouble.value = (error as Error).message;
    }
  }
  timer = setTimeout(() => void ask(), EVERY);
}

/** Watches until the returned function is called. */
export function watch(): () => void {
  clearTimeout(timer);
  timer = setTimeout(() => void ask(), 0);
  return () => clearTimeout(timer);
}

export type Values = (number | undefined)[];

export function gauge(history: Moment[], name: string, labels?: Record<string, string>): Values {
  return history.map((m) => total(m.samples, name, labels));
}

/** A counter's growth per second; a counter that fell was started anew. */
export function rate(history: Moment[], name: string, labels?: Record<string, string>): Values {
  return history.map((m, i) => {
    const [before, now] = [history[i - 1] && total(history[i - 1].samples, name, labels), total(m.samples, name, labels)];
    if (before === undefined || now === undefined) return undefined;
    return Math.max(0, now - before) / ((m.at - history[i - 1].at) / 1000);
  });
}
