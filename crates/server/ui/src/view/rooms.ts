// Which rooms of the page are open.
import { signal } from '@preact/signals';

export const tab = signal<'chat' | 'server'>('chat');
/** On a narrow screen the sides are drawers; on a wide one they are there until closed. */
const NARROW = matchMedia('(max-width: 900px)');
export const narrow = signal(NARROW.matches);
export const left = signal(!NARROW.matches);
export const right = signal(!NARROW.matches);
NARROW.addEventListener('change', () => {
  narrow.value = NARROW.matches;
  left.value = right.value = !NARROW.matches;
});

export const closeDrawers = (): void => { if (narrow.value) left.value = right.value = false; };

export function toggle(side: typeof left): void {
  const open = !side.value;
  closeDrawers();
  side.value = open;
}
