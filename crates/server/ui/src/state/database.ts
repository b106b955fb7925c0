// IndexedDB: conversations and the bytes of their files. Where the browser keeps nothing, memory has to do.
import type { Conversation } from './tree';

let opened: Promise<IDBDatabase | null> | undefined;
const memory = new Map<string, Blob>();

function open(): Promise<IDBDatabase | null> {
  opened ??= new Promise((resolve) => {
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
export const putConversation = (c: Conversation) => run('conversations', 'readwrite', (s) => s.put(c));
export const dropConversation = (id: string) => run('conversations', 'readwrite', (s) => s.delete(id));

export async function putBlob(id: string, blob: Blob): Promise<void> {
  memory.set(id, blob);
  await run('blobs', 'readwrite', (s) => s.put(blob, id)).catch(() => {});
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
