/* slowness.ts - is the way from the server too narrow for this tile's video? No DOM here. */

const LATE = 2500; // ms: a frame that arrives older than this is late
const LATE_FOR = 5000; // nothing else came for so long: too slow
const DROPS = 3; // the server skipped so often within WINDOW: too slow
const WINDOW = 12_000;

/**
 * What arrives says whether the network is slow; a camera that sends nothing does not. Times are
 * milliseconds of one clock that only goes forward.
 */
export class Slowness {
  private lateSince: number | null = null;
  private drops: number[] = [];

  /** A frame arrived that was captured AGE ms ago. */
  arrived(age: number, now: number): void {
    if (age <= LATE) this.lateSince = null;
    else this.lateSince ??= now;
  }

  /** The server skipped frames of this tile. */
  dropped(now: number): void {
    this.drops = [...this.drops.filter((t) => now - t < WINDOW), now];
  }

  tooSlow(now: number): boolean {
    if (this.lateSince !== null && now - this.lateSince > LATE_FOR) return true;
    return this.drops.filter((t) => now - t < WINDOW).length >= DROPS;
  }
}

const FIRST_RETRY = 15_000;
const LAST_RETRY = 60_000;

/**
 * How long a tile shows stills before it tries video again, after FAILURES attempts in a row that
 * were too slow. CHANCE (0 to 1) keeps forty tiles from trying at the same moment.
 */
export function retryAfter(failures: number, chance: number): number {
  return Math.min(LAST_RETRY, FIRST_RETRY * 2 ** Math.max(0, failures - 1)) * (0.75 + chance / 2);
}

const TRIES = 2;
const TRIES_IN = 60_000;

/** A decoder that gave up is started again, but not for ever. */
export class Stumbles {
  private times: number[] = [];

  /** It gave up at NOW: whether to try once more. */
  again(now: number): boolean {
    this.times = this.times.filter((t) => now - t < TRIES_IN);
    if (this.times.length >= TRIES) return false;
    this.times.push(now);
    return true;
  }
}
