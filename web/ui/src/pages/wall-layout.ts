/* wall-layout.ts - which cameras the wall shows, in which order and how large. No DOM here. */
import type { Camera } from '../api/client';
import type { StreamKind } from '../live/protocol';

/** Tiles at once; 0 shows all, as large as fits. */
export const LAYOUTS = [0, 1, 4, 9, 16, 25, 36, 40] as const;

export interface Fit {
  cols: number;
  /** Width of the whole grid in pixels. */
  width: number;
}

const LEAST = 150; // narrower tiles show nothing: rather scroll

/** Columns that make N tiles of 16:9 as large as possible on WIDTH x HEIGHT, all in sight. */
export function fit(n: number, width: number, height: number, gap = 6): Fit {
  let best: Fit = { cols: 1, width };
  let bestTile = 0;
  for (let c = 1; c <= Math.max(1, n); c++) {
    const rows = Math.ceil(n / c);
    const byWidth = (width - gap * (c - 1)) / c;
    const byHeight = ((height - gap * (rows - 1)) / rows) * (16 / 9);
    const tile = Math.floor(Math.min(byWidth, byHeight));
    if (tile <= bestTile) continue;
    bestTile = tile;
    best = { cols: c, width: tile * c + gap * (c - 1) };
  }
  if (bestTile >= LEAST) return best;
  const cols = Math.max(1, Math.floor((width + gap) / (LEAST + gap)));
  return { cols, width };
}

/** How many tiles of FITTED are whole in sight in a room HEIGHT pixels high; one row at least, none before it is measured. */
export function tilesInSight(fitted: Fit, height: number, gap = 6): number {
  const tile = (((fitted.width - gap * (fitted.cols - 1)) / fitted.cols) * 9) / 16;
  return tile > 0 ? fitted.cols * Math.max(1, Math.floor((height + gap + 1) / (tile + gap))) : 0;
}

/** CAMERAS in the order of ORDER (ids); those it does not name follow as they came. */
export function arrange(cameras: readonly Camera[], order: readonly string[]): Camera[] {
  const place = new Map(order.map((id, i) => [id, i]));
  const rank = (c: Camera): number => place.get(c.id) ?? order.length;
  return [...cameras].sort((a, b) => rank(a) - rank(b));
}

/** Move ID by STEPS places, or in front of BEFORE. Returns the new order of ids. */
export function moveBy(ids: readonly string[], id: string, steps: number): string[] {
  const from = ids.indexOf(id);
  const to = Math.min(ids.length - 1, Math.max(0, from + steps));
  if (from < 0 || to === from) return [...ids];
  const out = ids.filter((x) => x !== id);
  out.splice(to, 0, id);
  return out;
}

export function moveBefore(ids: readonly string[], id: string, before: string): string[] {
  if (id === before) return [...ids];
  const out = ids.filter((x) => x !== id);
  out.splice(out.indexOf(before), 0, id);
  return out;
}

/**
 * One page of the patrol: cameras with motion first (they stay as long as it lasts), the other
 * places walk through the rest. STEP counts up with time.
 */
export function patrolPage(cameras: readonly Camera[], size: number, step: number): Camera[] {
  if (size <= 0 || cameras.length <= size) return [...cameras];
  const busy = cameras.filter((c) => c.motion).slice(0, size);
  const rest = cameras.filter((c) => !busy.includes(c));
  const free = size - busy.length;
  const start = free > 0 ? (step * free) % rest.length : 0;
  const walking = Array.from({ length: Math.min(free, rest.length) }, (_, i) => rest[(start + i) % rest.length]!);
  return [...busy, ...walking];
}

export type WallMode = 'auto' | 'live' | 'still';

/**
 * What each camera's tile should take. On phones `auto` gives stills, and video to at most four
 * cameras where something moves; elsewhere everything is video.
 */
export function streamFor(camera: Camera, mode: WallMode, phone: boolean, moving: ReadonlySet<string>): StreamKind {
  if (mode === 'still') return 'still';
  if (mode === 'auto' && phone && !moving.has(camera.id)) return 'still';
  return camera.has_sub ? 'sub' : 'main';
}

/** The cameras that get video on a phone: in motion, at most MAX, those that have it keep it. */
export function movingSet(cameras: readonly Camera[], before: ReadonlySet<string>, max = 4): Set<string> {
  const busy = cameras.filter((c) => c.motion).map((c) => c.id);
  const kept = busy.filter((id) => before.has(id));
  return new Set([...kept, ...busy.filter((id) => !before.has(id))].slice(0, max));
}

const STILL_BUDGET = 112_000; // bit/s; with what else is said it stays below 150 kbit/s
const PACES = [2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30];

/** Seconds between stills of N tiles in sight, each of SIZE bytes, so that a phone stays below about 150 kbit/s. */
export function stillPeriod(n: number, size: number): number {
  const needed = (n * size * 8) / STILL_BUDGET;
  return PACES.find((p) => p >= needed) ?? 30;
}
