/*
 * outbox.ts - what the page says to the server about its tiles, at the pace the server accepts (50 a second,
 * 200 at once; who says more is disconnected). What was overtaken before it went is never said. No DOM here.
 */

export interface TileMessage {
  op: 'subscribe' | 'unsubscribe';
  tile: number;
}

const RATE = 40; // a second: a little less than the server allows
const BURST = 160;

export class Outbox<M extends TileMessage> {
  private waiting: M[] = [];
  private readonly told = new Set<number>(); // tiles that the server knows
  private tokens = BURST;
  private at = 0;

  /** A new connection: nothing was said on it. */
  reset(now: number): void {
    this.waiting = [];
    this.told.clear();
    this.tokens = BURST;
    this.at = now;
  }

  push(message: M): void {
    this.waiting = this.waiting.filter((m) => m.tile !== message.tile);
    if (message.op === 'subscribe' || this.told.has(message.tile)) this.waiting.push(message);
  }

  /** What may go at NOW (ms), in order. */
  take(now: number): M[] {
    this.tokens = Math.min(BURST, this.tokens + ((now - this.at) / 1000) * RATE);
    this.at = now;
    const out = this.waiting.splice(0, Math.floor(this.tokens));
    this.tokens -= out.length;
    for (const m of out) {
      if (m.op === 'subscribe') this.told.add(m.tile);
      else this.told.delete(m.tile);
    }
    return out;
  }

  /** Milliseconds until more may go; null when nothing waits. */
  get wait(): number | null {
    return this.waiting.length === 0 ? null : Math.ceil(((1 - (this.tokens % 1)) / RATE) * 1000);
  }
}
