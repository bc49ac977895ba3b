/*
 * scale.ts - the arithmetic of the timeline: a window of time on a width of pixels, how it
 * zooms and moves, where ticks go, and which stretch to ask the server for.
 */
import { DAY, HOUR, MINUTE, type Zone } from '../time/zone';

export const MIN_SPAN = 10_000;
export const MAX_SPAN = 30 * DAY;

export interface View {
  /** Left edge, ms UTC. */
  from: number;
  /** Width in ms. */
  span: number;
}

export const clampSpan = (span: number): number => Math.min(MAX_SPAN, Math.max(MIN_SPAN, span));

export const timeAt = (v: View, x: number, width: number): number => v.from + (x / width) * v.span;

export const xAt = (v: View, t: number, width: number): number => ((t - v.from) / v.span) * width;

/** Scale the window by FACTOR (> 1 shows more) so that ANCHOR stays where it is. */
export function zoom(v: View, factor: number, anchor: number): View {
  const span = clampSpan(v.span * factor);
  const share = (anchor - v.from) / v.span;
  return { from: anchor - share * span, span };
}

export const pan = (v: View, ms: number): View => ({ from: v.from + ms, span: v.span });

/** Keep the middle of the window between the first recording and a little after NOW. */
export function limit(v: View, oldest: number, now: number): View {
  const middle = v.from + v.span / 2;
  const low = Math.min(oldest, now - MIN_SPAN);
  const kept = Math.min(Math.max(middle, low), now);
  return kept === middle ? v : { from: kept - v.span / 2, span: v.span };
}

/** The two-finger gesture: times A and B stay under the fingers at XA and XB. */
export function pinch(v: View, a: number, b: number, xa: number, xb: number, width: number): View {
  if (Math.abs(xb - xa) < 1 || a === b) return v;
  const span = clampSpan(((b - a) / (xb - xa)) * width);
  return { from: (a + b) / 2 - ((xa + xb) / 2 / width) * span, span: Math.abs(span) };
}

export interface Tick {
  t: number;
  major: boolean;
}

const STEPS: { step: number; major: number }[] = [
  { step: 1000, major: 10_000 },
  { step: 2000, major: 10_000 },
  { step: 5000, major: 30_000 },
  { step: 10_000, major: MINUTE },
  { step: 30_000, major: 2 * MINUTE },
  { step: MINUTE, major: 5 * MINUTE },
  { step: 2 * MINUTE, major: 10 * MINUTE },
  { step: 5 * MINUTE, major: 30 * MINUTE },
  { step: 10 * MINUTE, major: HOUR },
  { step: 30 * MINUTE, major: 2 * HOUR },
  { step: HOUR, major: 6 * HOUR },
  { step: 2 * HOUR, major: 12 * HOUR },
  { step: 6 * HOUR, major: DAY },
  { step: 12 * HOUR, major: 2 * DAY },
  { step: DAY, major: 5 * DAY },
  { step: 2 * DAY, major: 10 * DAY },
  { step: 5 * DAY, major: 10 * DAY },
];

/**
 * Ticks for a window WIDTH pixels wide, at least GAP pixels apart and at round times of the
 * zone's clock. Zones of Indonesia have no summer time, so steps of a day are equal; elsewhere
 * a tick may be an hour off for the days around a change, never the label.
 */
export function ticks(v: View, width: number, zone: Zone, gap = 70): Tick[] {
  const wanted = (gap / width) * v.span;
  const room = (step: number): number => (step >= DAY ? 1.6 : step >= 2 * HOUR ? 1.25 : 1); // dates are wider than hours
  const s = STEPS.find((x) => x.step >= wanted * room(x.step)) ?? STEPS[STEPS.length - 1]!;
  const offset = zone.offset(v.from + v.span / 2);
  const out: Tick[] = [];
  const first = Math.ceil((v.from + offset) / s.step) * s.step;
  for (let t = first; t - offset <= v.from + v.span; t += s.step)
    out.push({ t: t - offset, major: t % s.major === 0 });
  return out;
}

/** The label of a tick: dates at midnight, seconds only when steps are that fine. */
export function tickLabel(t: number, span: number, zone: Zone): string {
  if (zone.startOfDay(t) === t) return zone.shortDate(t);
  return span <= 10 * MINUTE ? zone.clock(t) : zone.hourMinute(t);
}

/** "12 s", "5 mnt" … of a span, for the zoom control; the words come from the caller. */
export function spanParts(span: number): { n: number; unit: 'second' | 'minute' | 'hour' | 'day' } {
  if (span < 2 * MINUTE) return { n: Math.round(span / 1000), unit: 'second' };
  if (span < 2 * HOUR) return { n: Math.round(span / MINUTE), unit: 'minute' };
  if (span < 2 * DAY) return { n: Math.round(span / HOUR), unit: 'hour' };
  return { n: Math.round(span / DAY), unit: 'day' };
}

export const ZOOM_STOPS = [MIN_SPAN, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, MAX_SPAN];

/** The next stop when zooming by button or key. */
export function nextStop(span: number, inward: boolean): number {
  const stops = inward ? [...ZOOM_STOPS].reverse() : ZOOM_STOPS;
  const past = (s: number): boolean => (inward ? s < span * 0.99 : s > span * 1.01);
  return stops.find(past) ?? (inward ? MIN_SPAN : MAX_SPAN);
}

export interface Query {
  from: number;
  to: number;
  buckets: number;
}

const BUCKETS_PER_WINDOW = 512;

/**
 * What to ask for so that this window, and as much again on either side, can be drawn: the
 * stretch is aligned so that small movements ask for the same thing again and hit the cache.
 */
export function queryFor(v: View): Query {
  const level = 2 ** Math.ceil(Math.log2(v.span));
  const from = Math.floor((v.from - level / 2) / level) * level;
  const to = Math.ceil((v.from + v.span + level / 2) / level) * level;
  const width = Math.max(1000, level / (BUCKETS_PER_WINDOW));
  return { from, to, buckets: Math.max(1, Math.min(4096, Math.round((to - from) / width))) };
}

/** Whether an answer to Q shows this window about as finely as a fresh one would. */
export function covers(q: Query, v: View): boolean {
  const level = 2 ** Math.ceil(Math.log2(v.span));
  const mine = (q.to - q.from) / q.buckets;
  const best = Math.max(1000, level / (BUCKETS_PER_WINDOW));
  return q.from <= v.from && q.to >= v.from + v.span && mine <= best * 1.01 && mine >= best / 2.01;
}
