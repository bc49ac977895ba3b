/* theme.ts - light, dark, or as the device says. */
import { signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

const STORE = 'kt.theme';

function stored(): Theme {
  try {
    const v = localStorage.getItem(STORE);
    return v === 'light' || v === 'dark' ? v : 'auto';
  } catch {
    return 'auto';
  }
}

export const theme = signal<Theme>('auto');
/** Counts up when colours changed, for canvases that must paint again. */
export const themeTick = signal(0);

const prefersLight = (): boolean => matchMedia('(prefers-color-scheme: light)').matches;

function paint(): void {
  const light = theme.value === 'light' || (theme.value === 'auto' && prefersLight());
  document.documentElement.dataset.theme = light ? 'light' : 'dark';
  themeTick.value++;
}

export function applyTheme(): void {
  theme.value = stored();
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', paint);
  paint();
}

export function setTheme(next: Theme): void {
  theme.value = next;
  try {
    localStorage.setItem(STORE, next);
  } catch {
    // Lasts as long as the page, then.
  }
  paint();
}
