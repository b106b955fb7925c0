// The gateway's API, on this page's own origin.
import { signal } from '@preact/signals';
import type { Vision } from '../media/resize';
import { apiKey } from '../state/settings';

export interface ModelInfo {
  id: string;
  /** Names that mean this model. */
  aliases?: string[];
  context_length?: number;
  runtime?: string;
  quantization?: string;
  video?: boolean;
  thinking?: boolean;
  /** Sampling defaults. */
  defaults?: Record<string, number | null>;
  /** How it cuts pictures; null for a model without eyes. */
  vision?: Vision | null;
}

export interface ServerInfo {
  version?: string;
  models: ModelInfo[];
  limits?: { body_bytes?: number; images_per_request?: number };
}

export const server = signal<ServerInfo>({ models: [] });
/** Whether the last attempt reached the server, and whether it wanted a key. */
export const reach = signal<'unknown' | 'ok' | 'away' | 'key'>('unknown');

export function headers(extra: Record<string, string> = {}): Record<string, string> {
  const key = apiKey.peek();
  return key ? { ...extra, authorization: `Bearer ${key}` } : extra;
}

/** Asks what runs here: everything from `/server.json`, or the names alone from `/v1/models`. */
export async function look(): Promise<void> {
  try {
    let response = await fetch('/server.json', { headers: headers() });
    if (response.status === 404) response = await fetch('/v1/models', { headers: headers() });
    if (response.status === 401 || response.status === 403) {
      reach.value = 'key';
      return;
    }
    const answer = await response.json();
    if (!response.ok) throw new Error(response.statusText);
    server.value = Array.isArray(answer.models) ? answer : { models: answer.data ?? [] };
    reach.value = 'ok';
  } catch {
    reach.value = 'away';
  }
}

export function modelInfo(id: string): ModelInfo | undefined {
  const models = server.value.models;
  return id ? models.find((m) => m.id === id || m.aliases?.includes(id)) : models[0];
}
