/*
 * catch-up.ts - how a live tile stays close to now without stuttering. No DOM here.
 */

export interface CatchUp {
  rate: number;
  /** Media time to jump to, or null. */
  seek: number | null;
}

export const MIN_TARGET = 0.06;
export const MAX_TARGET = 0.5;
const USUAL = 0.12; // s between two arrivals that mean nothing: 10 frames a second, and a little

/**
 * Seconds of picture kept ahead of the play head: a little more after data came late, slowly less
 * again while it comes evenly.
 */
export class Target {
  constructor(private value = MIN_TARGET) {}
  get seconds(): number {
    return this.value;
  }
  /** Data came GAP seconds after the data before. */
  arrived(gap: number): void {
    if (gap > this.value + USUAL) this.value = Math.min(MAX_TARGET, this.value + 0.05);
    else this.value = Math.max(MIN_TARGET, this.value - 0.01 * gap);
  }
}

/**
 * What to do when the play head is at AT and the last buffered range is [START, END). CAN_RATE is
 * false where changing the rate makes the browser buffer again (Safari): there only jumps help.
 * SETTLING is the first moment of a tile, while the cached pictures still come in: jumps are cheap.
 */
export function catchUp(at: number, start: number, end: number, target: number, canRate: boolean,
                        settling = false): CatchUp {
  const gap = end - at;
  const jump = settling ? target + 0.2 : Math.max(1.2, target * 3);
  if (at < start - 0.05 || gap > jump || gap < -0.5)
    return { rate: 1, seek: Math.max(start, end - target) };
  if (!canRate) return { rate: 1, seek: null };
  if (gap > target + 0.3) return { rate: 1.25, seek: null };
  if (gap > target + 0.12) return { rate: 1.08, seek: null };
  return { rate: 1, seek: null };
}

/**
 * Where a chunk whose own time is TIME belongs, given the OFFSET in use and the END of what was
 * appended: a new run begins its clock again, and follows on at END.
 */
export function continueAt(time: number, offset: number | null, end: number): number {
  if (offset === null) return -time;
  const place = time + offset;
  return place < end - 0.5 || place > end + 30 ? end - time : offset;
}

/**
 * Until where the buffer may be emptied: up to a key frame at least KEEP seconds behind AT (a
 * browser removes up to the next key frame, so any other place would cost the picture on show).
 * KEYS are the times of key frames, ascending. Null when there is nothing worth removing.
 */
export function trimTo(keys: readonly number[], at: number, start: number, keep: number): number | null {
  let best: number | null = null;
  for (const k of keys) {
    if (k > at - keep) break;
    best = k;
  }
  return best !== null && best - start > keep ? best : null;
}
