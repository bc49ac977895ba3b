/*
 * router.ts - the page and its state live in the fragment of the address: `#/timeline?cam=a&t=…`.
 * A fragment never reaches the server, so the app works under any path a proxy gives it.
 */
import { computed, signal } from '@preact/signals';

export interface Route {
  /** Path without slashes at the ends, split: ["live", "gerbang"]. */
  path: string[];
  query: URLSearchParams;
}

export function parseHash(hash: string): Route {
  const text = hash.replace(/^#\/?/, '');
  const mark = text.indexOf('?');
  const path = (mark < 0 ? text : text.slice(0, mark)).split('/').filter(Boolean).map(decodePart);
  return { path, query: new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1)) };
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function href(path: string[], query?: Record<string, string | number | undefined>): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query ?? {})) if (v !== undefined && v !== '') q.set(k, String(v));
  // Colons and commas are legal in a fragment and far easier to read there.
  const tail = q.toString().replaceAll('%3A', ':').replaceAll('%2C', ',');
  return `#/${path.map(encodeURIComponent).join('/')}${tail ? `?${tail}` : ''}`;
}

export const route = signal<Route>(parseHash(typeof location === 'undefined' ? '' : location.hash));
export const page = computed(() => route.value.path[0] ?? 'live');

if (typeof window !== 'undefined')
  window.addEventListener('hashchange', () => {
    route.value = parseHash(location.hash);
  });

export function go(to: string): void {
  if (location.hash !== to) location.hash = to;
}

/** Change the address without a new entry in the history: panning is not navigating. */
export function replace(to: string): void {
  if (location.hash === to) return;
  history.replaceState(null, '', to);
  route.value = parseHash(to);
}
