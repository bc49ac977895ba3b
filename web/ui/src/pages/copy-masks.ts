/*
 * copy-masks.ts - rectangles that a copy for looking at covers: shares of width and height from the
 * top left corner, as POST /exports takes them. Never smaller than MIN, never outside the picture.
 */
import type { Point } from './rules';

export interface Mask {
  x: number;
  y: number;
  w: number;
  h: number;
}

export type Side = keyof Mask;

export const MAX_MASKS = 32; // of one copy, all cameras together
const MIN = 0.01;

const limit = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x));
const round = (x: number): number => Math.round(x * 10_000) / 10_000;

/** M moved and shrunk until it lies inside the picture. */
export function fit(m: Mask): Mask {
  const w = round(limit(m.w, MIN, 1));
  const h = round(limit(m.h, MIN, 1));
  return { x: round(limit(m.x, 0, 1 - w)), y: round(limit(m.y, 0, 1 - h)), w, h };
}

/** Between two corners, in whatever order they were drawn. */
export const between = (a: Point, b: Point): Mask =>
  fit({ x: Math.min(a[0], b[0]), y: Math.min(a[1], b[1]), w: Math.abs(a[0] - b[0]), h: Math.abs(a[1] - b[1]) });

export const corners = (m: Mask): Point[] => [[m.x, m.y], [m.x + m.w, m.y + m.h]];

/** Corner 0 (top left) or 1 (bottom right) taken to P; the other one stays, and they do not cross. */
export function moveCorner(m: Mask, corner: number, p: Point): Mask {
  const [right, bottom] = [m.x + m.w, m.y + m.h];
  if (corner === 1) return fit({ ...m, w: limit(p[0] - m.x, MIN, 1 - m.x), h: limit(p[1] - m.y, MIN, 1 - m.y) });
  const x = limit(p[0], 0, right - MIN);
  const y = limit(p[1], 0, bottom - MIN);
  return fit({ x, y, w: right - x, h: bottom - y });
}

/** One side typed as a percentage; what is no number changes nothing. */
export function typeSide(m: Mask, side: Side, percent: string): Mask {
  const value = Number(percent) / 100;
  return percent.trim() === '' || !Number.isFinite(value) ? m : fit({ ...m, [side]: value });
}

/** Is P inside M? */
export const holds = (m: Mask, p: Point): boolean => p[0] >= m.x && p[0] <= m.x + m.w && p[1] >= m.y && p[1] <= m.y + m.h;

/** The masks of the chosen cameras, as the server takes them. */
export const asRequest = (masks: Record<string, Mask[]>, cameras: string[]): ({ camera: string } & Mask)[] =>
  cameras.flatMap((camera) => (masks[camera] ?? []).map((m) => ({ camera, ...m })));
