// IndexedDB: conversations and the bytes of their files. Where the browser keeps nothing, memory has to do.
import { signal } from '@preact/signals';
import type { Conversation } from './tree';

let opened: Promise<IDBDatabase | null> | undefined;
const memory = new Map<string, Blob>();

/** Why nothing is kept at the moment: the browser has no store (a private window, a policy), or it refused the last write (full). */
export const unkept = signal<'none' | 'full' | undefined>(undefined);

function open(): Promise<IDBDatabase | null> {
  opened ??= new Promise<IDBDatabase | null>((resolve) => {
    let request: IDBOpenDBRequest;
    try {
      request = indexedDB.open('vlgate', 1);
    } catch {
      return resolve(null);
    }
    request.onupgradeneeded = () => {
      request.result.createObjectStore('conversations', { keyPath: 'id' });
      request.result.createObjectStore('blobs');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
    request.onblocked = () => resolve(null);
  }).then((db) => {
    if (!db) unkept.value = 'none';
    return db as IDBDatabase | null;
  });
  return opened;
}

async function run<T>(store: string, mode: IDBTransactionMode, work: (s: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  const db = await open();
  if (!db) return undefined;
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(store, mode);
    const request = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

export const allConversations = async (): Promise<Conversation[]> => (await run('conversations', 'readonly', (s) => s.getAll())) ?? [];
export const allBlobs = async (): Promise<string[]> => ((await run('blobs', 'readonly', (s) => s.getAllKeys())) ?? []) as string[];
export const dropConversation = (id: string) => run('conversations', 'readwrite', (s) => s.delete(id));

export async function putConversation(c: Conversation): Promise<void> {
  try {
    await run('conversations', 'readwrite', (s) => s.put(c));
    if (unkept.peek() === 'full') unkept.value = undefined;
  } catch {
    unkept.value = 'full';
  }
}

/** Keeps bytes; throws when they cannot be read (a file that is gone, or that changed since it was chosen). */
export async function putBlob(id: string, blob: Blob): Promise<void> {
  // The bytes themselves: the browser would read a file again when it is sent, and it may be another one by then.
  const bytes = new Blob([await blob.arrayBuffer()], { type: blob.type });
  memory.set(id, bytes);
  await run('blobs', 'readwrite', (s) => s.put(bytes, id)).catch(() => { unkept.value = 'full'; });
}

export async function getBlob(id: string): Promise<Blob | undefined> {
  const blob = memory.get(id) ?? (await run<Blob>('blobs', 'readonly', (s) => s.get(id)));
  if (blob) memory.set(id, blob);
  return blob;
}

export async function dropBlob(id: string): Promise<void> {
  memory.delete(id);
  await run('blobs', 'readwrite', (s) => s.delete(id)).catch(() => {});
}
