/* pace.ts - does playback keep the speed that was asked for? No DOM here. */

const SPAN = 3000; // ms over which it is judged
const LEAST = 0.75; // of the speed
const SLOWEST = 2; // slower speeds are not judged
const SPANS = 2; // in a row that must be slow: the first holds the loading, too

/** Times are milliseconds: NOW of a clock that only goes forward, T of the recording. */
export class Pace {
  private from: { rate: number; now: number; t: number } | null = null;
  private slow = 0;

  reset(): void {
    this.from = null;
    this.slow = 0;
  }

  /** The play head is at T, playing at RATE. True once it has been too slow for long. */
  tooSlow(t: number, now: number, rate: number): boolean {
    if (rate < SLOWEST) {
      this.reset();
      return false;
    }
    const f = this.from;
    if (f?.rate !== rate) {
      this.reset();
      this.from = { rate, now, t };
    } else if (now - f.now >= SPAN) {
      this.slow = t - f.t < LEAST * rate * (now - f.now) ? this.slow + 1 : 0;
      this.from = { rate, now, t };
    }
    return this.slow >= SPANS;
  }
}
