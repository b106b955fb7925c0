// Files on their way in: what they are, how big they are, and where their bytes are kept.
import { server } from '../api/client';
import { t } from '../i18n/words';
import { getBlob, putBlob } from '../state/database';
import { pending } from '../state/library';
import { newId, type Attachment, type Kind } from '../state/tree';
import { toast } from '../view/toast';

const LIMITS: Record<Kind, number> = { image: 32, video: 256, pdf: 64, file: 64 };
const MIB = 1024 * 1024;
const OFFICE = 'application/vnd.openxmlformats-officedocument';

const BY_NAME: [RegExp, Kind, string][] = [
  [/\.(png)$/i, 'image', 'image/png'], [/\.jpe?g$/i, 'image', 'image/jpeg'], [/\.webp$/i, 'image', 'image/webp'], [/\.gif$/i, 'image', 'image/gif'],
  [/\.bmp$/i, 'image', 'image/bmp'], [/\.tiff?$/i, 'image', 'image/tiff'], [/\.ico$/i, 'image', 'image/x-icon'], [/\.svg$/i, 'image', 'image/svg+xml'],
  [/\.avif$/i, 'image', 'image/avif'], [/\.heic$/i, 'image', 'image/heic'], [/\.heif$/i, 'image', 'image/heif'],
  [/\.mp4$/i, 'video', 'video/mp4'], [/\.webm$/i, 'video', 'video/webm'], [/\.mov$/i, 'video', 'video/quicktime'], [/\.mkv$/i, 'video', 'video/x-matroska'],
  [/\.avi$/i, 'video', 'video/x-msvideo'], [/\.pdf$/i, 'pdf', 'application/pdf'], [/\.html?$/i, 'file', 'text/html'], [/\.csv$/i, 'file', 'text/csv'],
  [/\.(md|markdown)$/i, 'file', 'text/markdown'], [/\.json$/i, 'file', 'application/json'], [/\.txt$/i, 'file', 'text/plain'],
  [/\.docx$/i, 'file', `${OFFICE}.wordprocessingml.document`], [/\.pptx$/i, 'file', `${OFFICE}.presentationml.presentation`], [/\.xlsx$/i, 'file', `${OFFICE}.spreadsheetml.sheet`],
];

/** What the file chooser offers; another file that holds text is taken all the same. */
export const ACCEPT = 'image/*,video/*,application/pdf,text/*,.avif,.heic,.heif,.mkv,.md,.json,.docx,.pptx,.xlsx';

function classify(name: string, type: string): { kind: Kind; type: string } | undefined {
  if (type.startsWith('image/')) return { kind: 'image', type };
  if (type.startsWith('video/')) return { kind: 'video', type };
  if (type === 'application/pdf') return { kind: 'pdf', type };
  const known = BY_NAME.find(([pattern]) => pattern.test(name));
  if (known) return { kind: known[1], type: known[2] };
  return type.startsWith('text/') ? { kind: 'file', type } : undefined;
}

/** Whether a file of an unknown kind is text: code, a log, a configuration. */
const isText = async (file: Blob): Promise<boolean> => !new Uint8Array(await file.slice(0, 4096).arrayBuffer()).includes(0);

/** Takes files; what cannot be used is said at once, by name, and the others are taken. */
export async function take(files: Iterable<File>): Promise<void> {
  for (const file of files) {
    try {
      await takeOne(file);
    } catch {
      // A folder, a file that was moved away, a disk that is gone.
      toast(t('unreadable', { name: file.name }), 'bad');
    }
  }
}

async function takeOne(file: File): Promise<void> {
  if (file.size === 0) return toast(t('emptyFile', { name: file.name }), 'bad');
  const kind = classify(file.name, file.type) ?? (await isText(file) ? { kind: 'file' as const, type: 'text/plain' } : undefined);
  if (!kind) return toast(t('notTaken', { name: file.name }), 'bad');
  // Base64 makes four bytes of three.
  const whole = ((server.peek().limits?.body_bytes ?? Infinity) / MIB) * 0.74;
  const limit = Math.floor(Math.min(LIMITS[kind.kind], whole));
  if (file.size > limit * MIB) return toast(t('tooBig', { name: file.name, size: megabytes(file.size), limit: String(limit) }), 'bad');
  const kept = await keep(file, file.name || t('pasted'), kind.kind, kind.type);
  pending.value = [...pending.value, kept];
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

const decoded = (name: string): string => { try { return decodeURIComponent(name); } catch { return name; } };

function toUrl(text: string): Attachment | undefined {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    return undefined;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  const name = decoded(url.pathname.split('/').pop() || url.host);
  return { id: newId(), ...(classify(name, '') ?? { kind: 'image', type: 'image/*' }), name, size: 0, url: url.href };
}

export function takeUrl(text: string): boolean {
  const a = toUrl(text);
  if (a) pending.value = [...pending.value, a];
  return Boolean(a);
}

/** Takes pasted or dropped text that is nothing but the address of a picture, a clip or a PDF. */
export function takeUrlOfFile(text: string): boolean {
  const a = /^\s*https?:\/\/\S+\s*$/i.test(text) ? toUrl(text) : undefined;
  if (!a || a.type === 'image/*' || a.kind === 'file') return false;
  pending.value = [...pending.value, a];
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
