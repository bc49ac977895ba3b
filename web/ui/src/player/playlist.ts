/*
 * playlist.ts - what is known of one recorded stream around the play head: which segments there
 * are, and up to where the server has been asked. No DOM, no network here.
 */

export interface Part {
  start: number; // ms UTC
  end: number;
  run: number;
  mime: string;
  init: string;
  url: string;
  appended: boolean;
}

export type Spot =
  | { kind: 'video'; part: Part }
  | { kind: 'gap'; next: number | null } // next: start of the next known part
  | { kind: 'unknown' };

/* Parts of one run touch; what rounding leaves between them is no gap. */
const TOLERANCE = 400;

export class Playlist {
  parts: Part[] = [];
  listedFrom = 0;
  listedTo = 0;

  reset(at: number): void {
    this.parts = [];
    this.listedFrom = at;
    this.listedTo = at;
  }

  /**
   * The server was asked for [FROM, TO) and these came; they continue what is there. The last part
   * may have grown since it was listed: then it is appended once more, over its own beginning.
   */
  add(parts: Part[], to: number): void {
    for (const p of parts) {
      const last = this.parts[this.parts.length - 1];
      if (last && p.start <= last.start + 1) {
        if (p.start < last.start - 1 || p.end <= last.end + 1) continue;
        this.parts.pop();
      }
      this.parts.push(p);
    }
    const first = this.parts[0];
    if (first) this.listedFrom = Math.min(this.listedFrom, first.start);
    this.listedTo = Math.max(this.listedTo, to);
  }

  at(t: number): Spot {
    const part = this.parts.find((p) => t >= p.start - 1 && t < p.end);
    if (part) return { kind: 'video', part };
    const next = this.parts.find((p) => p.start > t);
    const before = [...this.parts].reverse().find((p) => p.end <= t);
    if (before && next && next.start - before.end < TOLERANCE) return { kind: 'video', part: next };
    if (t < this.listedFrom || t >= this.listedTo) return { kind: 'unknown' };
    return { kind: 'gap', next: next?.start ?? null };
  }

  /** The next part to append so that [T, T + AHEAD) can be played, or null. */
  wanted(t: number, ahead: number): Part | null {
    return this.parts.find((p) => !p.appended && p.end > t && p.start < t + ahead) ?? null;
  }

  forget(before: number): void {
    this.parts = this.parts.filter((p) => p.end >= before);
  }
}

/** Frame times in ms, ascending, for stepping. */
export class FrameTimes {
  private times: number[] = [];

  reset(): void {
    this.times = [];
  }

  add(times: number[]): void {
    if (times.length === 0) return;
    const last = this.times[this.times.length - 1];
    this.times.push(...times);
    if (last !== undefined && times[0]! < last) this.times.sort((a, b) => a - b);
    if (this.times.length > 20_000) this.times.splice(0, 5000);
  }

  next(t: number): number | null {
    return this.times.find((x) => x > t + 2) ?? null;
  }

  previous(t: number): number | null {
    for (let i = this.times.length - 1; i >= 0; i--) if (this.times[i]! < t - 2) return this.times[i]!;
    return null;
  }

  /** The frame on show at T. */
  shown(t: number): number | null {
    for (let i = this.times.length - 1; i >= 0; i--) if (this.times[i]! <= t + 2) return this.times[i]!;
    return null;
  }
}

/** Playback rate for a view that is DIFF ms ahead (+) or behind (-) the common clock. */
export function syncRate(rate: number, diff: number): number {
  const correction = Math.max(-0.08, Math.min(0.08, -diff / 2000));
  return Math.min(16, Math.max(0.0625, rate * (1 + correction)));
}

/** Beyond this distance from the common clock a view seeks instead of drifting there. */
export const seekThreshold = (rate: number): number => 250 * Math.max(1, rate);
