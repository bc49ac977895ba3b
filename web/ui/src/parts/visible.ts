/* visible.ts - one timer and one visibility signal for all tiles. */
import { signal } from '@preact/signals';

const GRACE = 5000;

/** False once the page has been hidden for 5 s. */
export const pageVisible = signal(true);

let hiding: ReturnType<typeof setTimeout> | null = null;

if (typeof document !== 'undefined')
  document.addEventListener('visibilitychange', () => {
    if (hiding) clearTimeout(hiding);
    hiding = null;
    if (!document.hidden) pageVisible.value = true;
    else hiding = setTimeout(() => { pageVisible.value = false; }, GRACE);
  });

const ticking = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;

/** Call FN twice a second until the returned function is called. */
export function onTick(fn: () => void): () => void {
  ticking.add(fn);
  timer ??= setInterval(() => ticking.forEach((f) => f()), 500);
  return () => {
    ticking.delete(fn);
    if (ticking.size === 0 && timer) {
      clearInterval(timer);
      timer = null;
    }
  };
}
