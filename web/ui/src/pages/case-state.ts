/* case-state.ts - how far an incident is: pure arithmetic over holds and packages. */
import type { Export, Hold, Incident } from '../api/people';

export type HoldSummary = 'none' | 'partial' | 'waiting' | 'running' | 'done' | 'failed';

const LIVE = ['waiting', 'running', 'done'];

/** Cameras of the incident whose whole span is in the vault or on its way there. */
export function heldCameras(i: Pick<Incident, 'cameras' | 'from' | 'to'>, holds: Hold[]): string[] {
  const from = Date.parse(i.from);
  const to = Date.parse(i.to);
  return i.cameras.filter((c) => holds.some((h) =>
    h.camera === c && LIVE.includes(h.state) && Date.parse(h.from) <= from && Date.parse(h.to) >= to));
}

/** All holds of one incident in one word. What is being done comes before what failed before. */
export function summariseHolds(i: Pick<Incident, 'cameras' | 'from' | 'to'>, holds: Hold[]): HoldSummary {
  if (holds.some((h) => h.state === 'running')) return 'running';
  if (holds.some((h) => h.state === 'waiting')) return 'waiting';
  const held = heldCameras(i, holds).length;
  if (held === i.cameras.length && held > 0) return 'done';
  if (holds.some((h) => h.state === 'failed')) return 'failed';
  return held > 0 ? 'partial' : 'none';
}

/** Share done of everything that is copied now, 0…1; null where the sizes are not known yet. */
export function progressOf(jobs: { state: string; done_bytes: number; total_bytes: number }[]): number | null {
  const busy = jobs.filter((j) => j.state === 'running' || j.state === 'done');
  const total = busy.reduce((sum, j) => sum + j.total_bytes, 0);
  if (total <= 0) return null;
  return Math.min(1, busy.reduce((sum, j) => sum + (j.state === 'done' ? j.total_bytes : j.done_bytes), 0) / total);
}

export const isBusy = (x: { state: string }): boolean => x.state === 'waiting' || x.state === 'running';

/** A copy for looking at is made and shared like a package, and is none. */
export const isCopy = (e: Pick<Export, 'request'>): boolean => (e.request as { kind?: unknown } | null)?.kind === 'copy';

/** The step that comes next: hold the video, make the package, hand it over, nothing. */
export function nextStep(summary: HoldSummary, packages: Export[]): 'hold' | 'package' | 'hand-over' | 'wait' {
  if (packages.some((p) => p.state === 'done')) return 'hand-over';
  if (summary === 'running' || summary === 'waiting' || packages.some(isBusy)) return 'wait';
  return summary === 'done' || summary === 'partial' ? 'package' : 'hold';
}

/** Six digits for the telephone: easy to say aloud, from the browser's own dice. */
export function makePin(random: (into: Uint32Array) => Uint32Array = (a) => crypto.getRandomValues(a)): string {
  const top = 4294 * 1_000_000; // even over the million: no digit is likelier
  for (;;) {
    const x = random(new Uint32Array(1))[0]!;
    if (x < top) return String(x % 1_000_000).padStart(6, '0');
  }
}

/** The fingerprint in groups of four, as it is read aloud and typed from paper. */
export const grouped = (hex: string): string => hex.replace(/(.{4})(?=.)/g, '$1 ');
