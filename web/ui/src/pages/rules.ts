/*
 * rules.ts - zones, lines and places to ignore, as docs/motion.md has them: version 1, points from
 * 0 to 1 from the top left corner. Editing never throws away what it does not know.
 */
import { HOUR, type Zone } from '../time/zone';

export type Point = [number, number];

export interface Shape {
  kind: 'zone' | 'line' | 'ignore';
  points: Point[];
  /** Everything else of the object: name, loiter, direction, hours … */
  rest: Record<string, unknown>;
}

export interface Rules {
  shapes: Shape[];
  /** Keys of the whole: min_size, hours … */
  rest: Record<string, unknown>;
}

const LISTS = { zone: 'zones', line: 'lines', ignore: 'ignore' } as const;
export const MAX_SHAPES = 16;
export const MAX_POINTS = 32;

const clamp = (x: number): number => Math.round(Math.min(1, Math.max(0, x)) * 10_000) / 10_000;
export const place = (x: number, y: number): Point => [clamp(x), clamp(y)];

export function readRules(json: unknown): Rules {
  const source = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  const shapes: Shape[] = [];
  for (const kind of ['zone', 'line', 'ignore'] as const) {
    const list = source[LISTS[kind]];
    if (!Array.isArray(list)) continue;
    for (const item of list as Record<string, unknown>[]) {
      const { points, ...rest } = item;
      shapes.push({ kind, points: Array.isArray(points) ? (points as Point[]) : [], rest });
    }
  }
  const { zones: _z, lines: _l, ignore: _i, version: _v, ...rest } = source;
  return { shapes, rest };
}

/** The JSON to store, or null when nothing is drawn and nothing else is set. */
export function writeRules(r: Rules): Record<string, unknown> | null {
  const out: Record<string, unknown> = { version: 1, ...r.rest };
  for (const kind of ['zone', 'line', 'ignore'] as const) {
    const list = r.shapes.filter((s) => s.kind === kind)
      .map((s) => (s.points.length ? { ...s.rest, points: s.points } : { ...s.rest }));
    if (list.length) out[LISTS[kind]] = list;
  }
  return Object.keys(out).length > 1 ? out : null;
}

const HOURS = /^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$/;
const TYPED = /^(\d{1,2})(?:[.:](\d{2}))?\s*[-–]\s*(\d{1,2})(?:[.:](\d{2}))?$/;

/** Hours as a person types them ("22-5, 12.00-13.30") as they are stored; what is not understood stays as it is. */
export function readHours(text: string): string[] {
  return text.split(',').map((part) => part.trim()).filter(Boolean).map((part) => {
    const m = TYPED.exec(part);
    return m ? `${m[1]!.padStart(2, '0')}:${m[2] ?? '00'}-${m[3]!.padStart(2, '0')}:${m[4] ?? '00'}` : part;
  });
}

/** The first shape that the recorder would refuse, and why; null when there is none. */
export function wrongShape(shapes: readonly Shape[]): { at: number; why: 'rules.noName' | 'rules.badHours' } | null {
  for (const [at, s] of shapes.entries()) {
    if (s.kind !== 'ignore' && String(s.rest.name ?? '').trim() === '') return { at, why: 'rules.noName' };
    if (Array.isArray(s.rest.hours) && s.rest.hours.some((h) => !HOURS.test(String(h)))) return { at, why: 'rules.badHours' };
  }
  return null;
}

/** A shape to begin with: a rectangle in the middle, or a line across it. */
export function newShape(kind: Shape['kind'], name: string): Shape {
  if (kind === 'line') return { kind, points: [[0.5, 0.3], [0.5, 0.8]], rest: { name, direction: 'both' } };
  const points: Point[] = [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]];
  return { kind, points, rest: kind === 'zone' ? { name } : {} };
}

/** "zona 2": a name nobody has. */
export function freeName(base: string, shapes: readonly Shape[]): string {
  const taken = new Set(shapes.map((s) => s.rest.name));
  for (let n = 1; ; n++) if (!taken.has(`${base} ${n}`)) return `${base} ${n}`;
}

export function movePoint(s: Shape, i: number, to: Point): Shape {
  return { ...s, points: s.points.map((p, k) => (k === i ? to : p)) };
}

/** A corner more, on the longest edge. */
export function addPoint(s: Shape): Shape {
  if (s.kind === 'line' || s.points.length >= MAX_POINTS) return s;
  const at = (i: number): Point => s.points[i % s.points.length]!;
  let longest = 0;
  let best = -1;
  s.points.forEach((p, i) => {
    const q = at(i + 1);
    const d = Math.hypot(p[0] - q[0], p[1] - q[1]);
    if (d > best) {
      best = d;
      longest = i;
    }
  });
  const [a, b] = [at(longest), at(longest + 1)];
  const points = [...s.points];
  points.splice(longest + 1, 0, place((a[0] + b[0]) / 2, (a[1] + b[1]) / 2));
  return { ...s, points };
}

export function removePoint(s: Shape, i: number): Shape {
  return s.kind === 'line' || s.points.length <= 3 ? s : { ...s, points: s.points.filter((_, k) => k !== i) };
}

/**
 * Which way is "in" for a line: a point to the right of it, seen from its first end to its second
 * (left to right is in), for an arrow.
 */
export function inSide(s: Shape, length = 0.06): [Point, Point] | null {
  const [a, b] = s.points;
  if (!a || !b) return null;
  const mid: Point = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const d = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
  // On a screen y grows downwards: the right hand of (dx, dy) is (-dy, dx).
  const tip: Point = [mid[0] - ((b[1] - a[1]) / d) * length, mid[1] + ((b[0] - a[0]) / d) * length];
  return [mid, tip];
}

/** 22.00 to 05.00 at the site: the night that ended last, or the one that goes on at NOW. */
export function lastNight(zone: Zone, now: number): [number, number] {
  const today = zone.startOfDay(now);
  return [zone.fromCivil({ ...zone.civil(today - HOUR), hour: 22, minute: 0, second: 0 }),
    Math.min(now, zone.fromCivil({ ...zone.civil(today), hour: 5, minute: 0, second: 0 }))];
}
