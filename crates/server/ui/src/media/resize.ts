// What the model will see of a picture: the processor's own rule, as in crates/media/src/resize.rs.
import type { Params } from '../state/tree';

export interface Vision {
  factor: number;
  min_pixels: number;
  max_pixels: number;
}

/** Qwen3-VL's own. */
export const QWEN3_VL: Vision = { factor: 32, min_pixels: 65_536, max_pixels: 16_777_216 };

/** Rounds halves to even numbers, as Python does. */
function round(n: number): number {
  const whole = Math.round(n);
  return Math.abs(n % 1) === 0.5 && whole % 2 ? whole - 1 : whole;
}

export function seen(width: number, height: number, detail: Params['detail'], vision: Vision = QWEN3_VL): { width: number; height: number; tokens: number } {
  const { factor } = vision;
  const wanted = { low: 256, auto: 1280, high: Infinity }[detail] * factor * factor;
  const min = vision.min_pixels;
  const max = Math.max(min, Math.min(vision.max_pixels, wanted));
  let [h, w] = [round(height / factor) * factor, round(width / factor) * factor];
  if (h * w > max) {
    const beta = Math.sqrt((height * width) / max);
    h = Math.max(factor, Math.floor(height / beta / factor) * factor);
    w = Math.max(factor, Math.floor(width / beta / factor) * factor);
  } else if (h * w < min) {
    const beta = Math.sqrt(min / (height * width));
    h = Math.ceil((height * beta) / factor) * factor;
    w = Math.ceil((width * beta) / factor) * factor;
  }
  return { width: w, height: h, tokens: (w / factor) * (h / factor) };
}
