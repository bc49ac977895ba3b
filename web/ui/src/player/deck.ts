/*
 * deck.ts - one clock for one to four recordings. The first view that has pictures leads; the
 * others follow it by small changes of rate, or a seek when they are far off. Where no camera has
 * a recording the clock jumps to the next one that has.
 */
import { signal } from '@preact/signals';
import { serverNow } from '../time/server-clock';
import { Pace } from './pace';
import type { Track } from './track';

export const RATES = [0.25, 0.5, 1, 2, 4, 8, 16] as const;

const STALL_LIMIT = 4000;
const EDGE = 30_000; // so near to now there may be nothing left to play

export class Deck {
  readonly time = signal(0);
  readonly playing = signal(false);
  readonly rate = signal(1);
  /** Set when a gap was jumped over: how long it was, in ms. */
  readonly skipped = signal(0);
  /** This machine, or its network, does not keep the pace with every frame: key frames must do. */
  readonly keysOnly = signal(false);
  /** True when there is nothing more to play. */
  readonly atEnd = signal(false);
  /** The hand is on the play head: views keep still and previews are shown instead. */
  holding = false;
  private tracks: Track[] = [];
  private frame = 0;
  private stalledSince = 0;
  private lastTick = 0;
  private running = false;
  private readonly pace = new Pace();

  start(): void {
    if (this.running) return;
    this.running = true;
    const tick = (now: number): void => {
      if (!this.running) return;
      this.tick(now);
      this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  stop(): void {
    this.running = false;
    cancelAnimationFrame(this.frame);
  }

  attach(track: Track): () => void {
    this.tracks.push(track);
    track.seek(this.time.peek());
    return () => {
      this.tracks = this.tracks.filter((x) => x !== track);
      track.destroy();
    };
  }

  seek(t: number): void {
    this.time.value = Math.min(t, serverNow());
    this.atEnd.value = false;
    this.stalledSince = 0;
    this.pace.reset();
    for (const track of this.tracks) track.seek(this.time.peek());
  }

  setRate(rate: number): void {
    this.rate.value = rate;
    this.keysOnly.value = false; // another speed, another try
  }

  play(): void {
    this.atEnd.value = false;
    this.playing.value = true;
  }

  pause(): void {
    this.playing.value = false;
  }

  toggle(): void {
    if (this.playing.value) this.pause();
    else this.play();
  }

  /** One frame on or back, of the first view that knows its frames. */
  step(forward: boolean): void {
    this.pause();
    const t = this.time.peek();
    for (const track of this.tracks) {
      const to = forward ? track.nextFrame(t) : track.previousFrame(t);
      if (to === null) continue;
      this.seek(to + 1);
      return;
    }
    this.seek(t + (forward ? 100 : -100));
  }

  private tick(now: number): void {
    const elapsed = Math.min(250, now - this.lastTick);
    this.lastTick = now;
    if (this.holding) return;
    const playing = this.playing.peek();
    const rate = this.rate.peek();
    const leader = playing ? this.tracks.find((x) => x.canLead()) : undefined;
    let t = this.time.peek();
    if (leader) {
      const at = leader.wall();
      if (Math.abs(at - t) < 2000 * Math.max(1, rate)) t = Math.max(t - 50, at);
      this.stalledSince = 0;
    } else if (playing && this.tracks.length > 0) {
      t = this.withoutLeader(t, now, elapsed * rate);
    }
    if (t !== this.time.peek()) this.time.value = t;
    const judged = playing && t < serverNow() - EDGE ? rate : 0;
    if (this.pace.tooSlow(t, now, judged)) this.keysOnly.value = true;
    for (const track of this.tracks) track.follow(t, rate, playing, track === leader);
  }

  /* Nobody has a picture: loading (wait), or a gap everywhere (jump), or the end. */
  private withoutLeader(t: number, now: number, step: number): number {
    if (this.tracks.every((x) => x.state === 'gap' || x.between)) return this.jumpGap(t);
    if (this.stalledSince === 0) this.stalledSince = now;
    const waiting = this.tracks.some((x) => x.state === 'loading');
    if (!waiting && this.tracks.some((x) => x.endsHere())) return Math.min(serverNow(), t + step);
    if (waiting || now - this.stalledSince < STALL_LIMIT) return t;
    return Math.min(serverNow(), t + step);
  }

  private jumpGap(t: number): number {
    const starts = this.tracks.map((x) => x.nextStart);
    if (starts.includes(undefined)) return t;
    const known = starts.filter((x): x is number => typeof x === 'number' && x > t);
    if (known.length === 0) {
      this.pause();
      this.atEnd.value = true;
      return t;
    }
    const next = Math.min(...known);
    this.skipped.value = next - t;
    for (const track of this.tracks) track.seek(next);
    return next;
  }
}
