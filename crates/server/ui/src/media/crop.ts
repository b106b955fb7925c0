// A part of a picture as a picture of its own.
import { getBlob } from '../state/database';
import type { Attachment } from '../state/tree';
import { keep } from './intake';

/** `at` is x1 y1 x2 y2 from 0 to 1000. */
export async function crop(a: Attachment, at: readonly number[]): Promise<Attachment | undefined> {
  const blob = await getBlob(a.id);
  if (!blob) return undefined;
  const bitmap = await createImageBitmap(blob);
  const x = (at[0] / 1000) * bitmap.width;
  const y = (at[1] / 1000) * bitmap.height;
  const width = Math.max(1, Math.round(((at[2] - at[0]) / 1000) * bitmap.width));
  const height = Math.max(1, Math.round(((at[3] - at[1]) / 1000) * bitmap.height));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.drawImage(bitmap, x, y, width, height, 0, 0, width, height);
  bitmap.close();
  const part = await canvas.convertToBlob({ type: 'image/png' });
  return keep(part, `${a.name.replace(/\.\w+$/, '')} [${at.map((n) => Math.round(n)).join(' ')}].png`, 'image', 'image/png');
}
