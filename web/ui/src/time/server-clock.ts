/*
 * server-clock.ts - what time it is on the server, as seen from here.
 *
 * Everything that arrives was sent earlier: the `Date` header of a reply and the capture time of
 * a frame are each a lower bound of the server's time at arrival. The largest bound seen so far
 * is wrong by no more than the quickest delivery took. Phones with a wrong clock do no harm, and
 * a frozen picture cannot pass for a live one.
 */

const DRIFT = 0.0002; // a cheap oscillator: bounds fade by 200 ppm, so a bad one is not for ever

let bound = Number.NEGATIVE_INFINITY; // server time - performance.now(), in ms
let boundAt = 0;

const localNow = (): number => performance.now();

export function learnServerTime(ms: number, now = localNow()): void {
  const faded = bound - (now - boundAt) * DRIFT;
  if (ms - now < faded) return;
  bound = ms - now;
  boundAt = now;
}

export function serverNow(now = localNow()): number {
  return bound === Number.NEGATIVE_INFINITY ? Date.now() : bound + now;
}

/** For tests. */
export function forgetServerTime(): void {
  bound = Number.NEGATIVE_INFINITY;
}
