// Files on their way in: what they are, how big they are, and where their bytes are kept.
import { signal } from '@preact/signals';
import { server } from '../api/client';
import { t } from '../i18n/words';
import { getBlob, putBlob } from '../state/database';
import { newId, type Attachment, type Kind } from '../state/tree';
import { toast } from '../view/toast';

/** The files that go with the next question. */
export const pending = signal<Attachment[]>([]);

const LIMITS: Record<Kind, number> = { image: 32, video: 256, pdf: 64 };
const MIB = 1024 * 1024;

const BY_NAME: [RegExp, Kind, string][] = [
  [/\.(png)$/i, 'image', 'image/png'], [/\.jpe?g$/i, 'image', 'image/jpeg'], [/\.webp$/i, 'image', 'image/webp'], [/\.gif$/i, 'image', 'image/gif'],
  [/\.bmp$/i, 'image', 'image/bmp'], [/\.tiff?$/i, 'image', 'image/tiff'], [/\.mp4$/i, 'video', 'video/mp4'], [/\.webm$/i, 'video', 'video/webm'],
  [/\.mov$/i, 'video', 'video/quicktime'], [/\.mkv$/i, 'video', 'video/x-matroska'], [/\.pdf$/i, 'pdf', 'application/pdf'],
];

function classify(name: string, type: string): { kind: Kind; type: string } | undefined {
  if (type.startsWith('image/') && type !== 'image/svg+xml') return { kind: 'image', type };
  if (type.startsWith('video/')) return { kind: 'video', type };
  if (type === 'application/pdf') return { kind: 'pdf', type };
  const known = BY_NAME.find(([pattern]) => pattern.test(name));
  return known && { kind: known[1], type: known[2] };
}

/** Takes files; what cannot be used is said at once, by name. */
export async function take(files: Iterable<File>): Promise<void> {
  for (const file of files) {
    const kind = classify(file.name, file.type);
    // Base64 makes four bytes of three.
    const whole = ((server.peek().limits?.body_bytes ?? Infinity) / MIB) * 0.74;
    const limit = kind ? Math.floor(Math.min(LIMITS[kind.kind], whole)) : 0;
    if (!kind) toast(t('notTaken', { name: file.name }), 'bad');
    else if (file.size === 0) toast(t('emptyFile', { name: file.name }), 'bad');
    else if (file.size > limit * MIB) toast(t('tooBig', { name: file.name, size: megabytes(file.size), limit: String(limit) }), 'bad');
    else pending.value = [...pending.value, await keep(file, file.name || t('pasted'), kind.kind, kind.type)];
  }
}

export async function keep(blob: Blob, name: string, kind: Kind, type: string): Promise<Attachment> {
  const a: Attachment = { id: newId(), kind, name, type, size: blob.size };
  await putBlob(a.id, blob);
  const size = kind === 'image' ? await dimensions(blob) : undefined;
  return { ...a, ...size };
}

/** Undefined for pictures that the browser cannot show (TIFF in most); the server may still read them. */
async function dimensions(blob: Blob): Promise<{ width: number; height: number } | undefined> {
  try {
    const bitmap = await createImageBitmap(blob);
    const size = { width: bitmap.width, height: bitmap.height };
    bitmap.close();
    return size;
  } catch {
    return undefined;
  }
}

export function takeUrl(text: string): boolean {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    return false;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return false;
  const name = decodeURIComponent(url.pathname.split('/').pop() || url.host);
  const kind = classify(name, '') ?? { kind: 'image' as const, type: 'image/*' };
  pending.value = [...pending.value, { id: newId(), ...kind, name, size: 0, url: url.href }];
  return true;
}

export function discard(id: string): void {
  pending.value = pending.value.filter((a) => a.id !== id);
}

const urls = new Map<string, Promise<string | undefined>>();

/** An address of this page for a file's bytes, for as long as the page is open. */
export function urlOf(a: Attachment): Promise<string | undefined> {
  let url = urls.get(a.id);
  if (!url) {
    url = getBlob(a.id).then((blob) => blob && URL.createObjectURL(blob.type === a.type ? blob : new Blob([blob], { type: a.type })));
    urls.set(a.id, url);
  }
  return url;
}

export function megabytes(bytes: number): string {
  return bytes >= MIB ? `${(bytes / MIB).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1024))} KB`;
}
