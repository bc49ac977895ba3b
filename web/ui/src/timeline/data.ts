/*
 * data.ts - what the server said about stretches of time, kept so that the canvas can always draw
 * something: the right answer when it is there, a coarser or finer one until then.
 */
import { signal } from '@preact/signals';
import { api, ms, type TimelineAnswer } from '../api/client';
import { serverNow } from '../time/server-clock';
import { covers, type Query, queryFor, type View } from './scale';

export interface Stretch {
  from: number;
  to: number;
}
export interface Gap extends Stretch {
  reason: string;
}
export interface Pin {
  id: number;
  type: string;
  start: number;
  end: number;
}
export interface CameraRow {
  id: string;
  oldest: number | null;
  spans: Stretch[];
  gaps: Gap[];
  /** One byte a bucket, or empty. */
  heat: Uint8Array;
  pins: Pin[];
  pinsTotal: number;
}
export interface Answer {
  query: Query;
  /** Of the whole answer, as the server rounded it. */
  from: number;
  to: number;
  buckets: number;
  at: number;
  rows: Map<string, CameraRow>;
  /** Heat that fills a row: what is usual where it is busy, so that a quiet month shows its pattern too. */
  heatTop: number;
}

const LEAST_TOP = 6;

/** A heat that few buckets exceed, of all cameras together. */
export function heatTop(rows: Iterable<{ heat: Uint8Array }>): number {
  const count = new Uint32Array(256);
  let n = 0;
  for (const { heat } of rows)
    for (const v of heat)
      if (v > 0) {
        count[v]!++;
        n++;
      }
  let left = n * 0.02;
  for (let v = 255; v > LEAST_TOP; v--) {
    left -= count[v]!;
    if (left < 0) return v;
  }
  return LEAST_TOP;
}

const KEPT = 24;
const FRESH = 8000; // an answer that reaches now is asked for again after this

export function decodeHeat(text: string): Uint8Array {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

export function toAnswer(query: Query, a: TimelineAnswer, at: number): Answer {
  const rows = new Map<string, CameraRow>();
  for (const c of a.cameras)
    rows.set(c.id, {
      id: c.id,
      oldest: c.oldest ? ms(c.oldest) : null,
      spans: c.spans.map((s) => ({ from: ms(s.from), to: ms(s.to) })),
      gaps: c.gaps.map((g) => ({ from: ms(g.from), to: ms(g.to), reason: g.reason })),
      heat: decodeHeat(c.heat),
      pins: c.events.map((e) => ({ id: e.id, type: e.type, start: ms(e.start), end: e.end ? ms(e.end) : at })),
      pinsTotal: c.events_total,
    });
  return { query, from: ms(a.from), to: ms(a.to), buckets: a.buckets, at, rows, heatTop: heatTop(rows.values()) };
}

/** The answer that shows V best: a fitting one, else the one that covers most of it. */
export function bestAnswer(answers: readonly Answer[], v: View): Answer | null {
  let best: Answer | null = null;
  let bestScore = -1;
  for (const a of answers) {
    const overlap = Math.max(0, Math.min(a.to, v.from + v.span) - Math.max(a.from, v.from)) / v.span;
    const width = (a.to - a.from) / a.buckets;
    const ideal = v.span / 512;
    const sharp = 1 / (1 + Math.abs(Math.log2(width / ideal)));
    const score = overlap * (1 + 0.3 * sharp) + (covers(a.query, v) ? 1 : 0) + a.at / 1e16;
    if (overlap > 0 && score > bestScore) {
      best = a;
      bestScore = score;
    }
  }
  return best;
}

export class TimelineData {
  /** Counts up with every answer. */
  readonly tick = signal(0);
  readonly failure = signal<unknown>(null);
  private answers: Answer[] = [];
  private pending: string | null = null;
  private next: View | null = null;

  constructor(private readonly cameras: string[] | null = null) {}

  best(v: View): Answer | null {
    return bestAnswer(this.answers, v);
  }

  /** Make sure an answer for V is there or on its way. One request at a time, the newest wish wins. */
  want(v: View): void {
    const q = queryFor(v);
    const now = serverNow();
    const have = this.answers.find((a) => a.query.from === q.from && a.query.to === q.to && a.query.buckets === q.buckets);
    if (have && (have.at > Math.min(now, v.from + v.span) || now - have.at < FRESH)) return;
    if (this.pending !== null) {
      this.next = v;
      return;
    }
    void this.ask(q);
  }

  private async ask(q: Query): Promise<void> {
    this.pending = `${q.from}-${q.to}`;
    try {
      const answer = await api.timeline(this.cameras, q.from, q.to, q.buckets);
      const mine = toAnswer(q, answer, serverNow());
      this.answers = [mine, ...this.answers.filter((a) => a.query.from !== q.from || a.query.to !== q.to
        || a.query.buckets !== q.buckets)].slice(0, KEPT);
      this.failure.value = null;
      this.tick.value++;
    } catch (error) {
      this.failure.value = error;
    } finally {
      this.pending = null;
      const next = this.next;
      this.next = null;
      if (next) this.want(next);
    }
  }

  row(v: View, camera: string): CameraRow | null {
    return this.best(v)?.rows.get(camera) ?? null;
  }
}
