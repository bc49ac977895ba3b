/*
 * connection.ts - the one WebSocket of the page. Tiles subscribe here; a lost connection comes
 * back by itself and subscribes them again.
 */
import { signal } from '@preact/signals';
import { learnServerTime } from '../time/server-clock';
import { Outbox, type TileMessage } from './outbox';
import { MessageType, parseMedia, parseText, type ServerText, type StreamKind } from './protocol';

export interface TileSink {
  ready(mime: string): void;
  media(data: Uint8Array, init: boolean, key: boolean, captureUs: number): void;
  still(data: Uint8Array, captureUs: number): void;
  dropped(frames: number): void;
  error(code: string): void;
}

interface Subscription {
  camera: string;
  stream: StreamKind;
  sink: TileSink;
  /** Stills: at most one in so many seconds. */
  every: number;
}

export type LinkState = 'idle' | 'connecting' | 'open' | 'lost';

export const linkState = signal<LinkState>('idle');
/** Bytes received since the page was opened, and the rate of the last seconds in bit/s. */
export const receivedBytes = signal(0);
export const receivedRate = signal(0);
/** How large a still is, in bytes: a mean that changes only when it matters. */
export const stillBytes = signal(11_000);

interface Ask extends TileMessage {
  camera?: string;
  stream?: StreamKind;
  every?: number;
}

type Listener = (message: ServerText) => void;

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
const IDLE_CLOSE = 5000;
const METER_STEP = 1000;
const METER_SPAN = 15; // stills come in bursts: the rate is that of the last seconds

export interface Handle {
  stop(): void;
  /** Another pace for the stills of this tile. */
  setEvery(every: number): void;
}

class LiveConnection {
  private socket: WebSocket | null = null;
  private readonly tiles = new Map<number, Subscription>();
  private readonly listeners = new Set<Listener>();
  private readonly outbox = new Outbox<Ask>();
  private later: ReturnType<typeof setTimeout> | null = null;
  private nextTile = 1;
  private wait = FIRST_WAIT;
  private retry: ReturnType<typeof setTimeout> | null = null;
  private idle: ReturnType<typeof setTimeout> | null = null;
  private bytes = 0;
  private still = 0;
  private readonly samples: { at: number; bytes: number }[] = [];
  private meter: ReturnType<typeof setInterval> | null = null;
  private wanted = 0;

  /** Keep the connection open even without tiles (for events). Returns the release. */
  hold(): () => void {
    this.wanted++;
    this.open();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.wanted--;
      this.closeWhenIdle();
    };
  }

  subscribe(camera: string, stream: StreamKind, sink: TileSink, every = 0): Handle {
    const tile = this.nextTile;
    this.nextTile = this.nextTile >= 0xffff ? 1 : this.nextTile + 1;
    const subscription = { camera, stream, sink, every };
    this.tiles.set(tile, subscription);
    this.ask(tile, subscription);
    this.open();
    return {
      stop: () => {
        if (!this.tiles.delete(tile)) return;
        this.send({ op: 'unsubscribe', tile });
        this.closeWhenIdle();
      },
      setEvery: (seconds) => {
        if (stream !== 'still' || seconds === subscription.every || !this.tiles.has(tile)) return;
        subscription.every = seconds;
        this.ask(tile, subscription);
      },
    };
  }

  listen(fn: Listener): () => void {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }

  /** Close for good, at log-out. */
  stop(): void {
    if (this.retry) clearTimeout(this.retry);
    this.retry = null;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    linkState.value = 'idle';
  }

  /** Try at once: the network is back, or somebody pressed the button. */
  reconnectNow(): void {
    this.wait = FIRST_WAIT;
    if (this.retry) clearTimeout(this.retry);
    this.retry = null;
    this.open();
  }

  private ask(tile: number, s: Subscription): void {
    const { camera, stream, every } = s;
    this.send({ op: 'subscribe', tile, camera, stream, ...(stream === 'still' && every > 0 ? { every } : {}) });
  }

  private send(message: Ask): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return; // all tiles are asked for when it opens
    this.outbox.push(message);
    if (!this.later) this.flush();
  }

  private flush(): void {
    this.later = null;
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    for (const m of this.outbox.take(performance.now())) this.socket.send(JSON.stringify(m));
    const wait = this.outbox.wait;
    if (wait !== null) this.later = setTimeout(() => this.flush(), wait);
  }

  private open(): void {
    if (this.idle) clearTimeout(this.idle);
    this.idle = null;
    if (this.socket || this.retry) return;
    if (linkState.value !== 'lost') linkState.value = 'connecting';
    const url = new URL('api/v1/live', document.baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    socket.onopen = () => {
      this.wait = FIRST_WAIT;
      linkState.value = 'open';
      this.outbox.reset(performance.now());
      for (const [tile, s] of this.tiles) this.ask(tile, s);
    };
    socket.onmessage = (e: MessageEvent<string | ArrayBuffer>) => this.received(e.data);
    socket.onclose = () => this.lost(socket);
    this.meter ??= setInterval(() => this.count(), METER_STEP);
  }

  private lost(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    if (this.tiles.size === 0 && this.wanted === 0) {
      linkState.value = 'idle';
      return;
    }
    linkState.value = 'lost';
    this.retry = setTimeout(() => {
      this.retry = null;
      this.open();
    }, this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
  }

  private closeWhenIdle(): void {
    if (this.tiles.size > 0 || this.wanted > 0 || this.idle) return;
    this.idle = setTimeout(() => {
      this.idle = null;
      if (this.tiles.size === 0 && this.wanted === 0) this.stop();
    }, IDLE_CLOSE);
  }

  private count(): void {
    const now = performance.now();
    this.samples.push({ at: now, bytes: this.bytes });
    if (this.samples.length > METER_SPAN + 1) this.samples.shift();
    const first = this.samples[0]!;
    if (now > first.at) receivedRate.value = ((this.bytes - first.bytes) * 8000) / (now - first.at);
    receivedBytes.value = this.bytes;
  }

  private received(data: string | ArrayBuffer): void {
    if (typeof data === 'string') {
      this.bytes += data.length;
      const message = parseText(data);
      if (message) this.dispatch(message);
      return;
    }
    this.bytes += data.byteLength;
    const m = parseMedia(data);
    if (!m) return;
    if (m.type !== MessageType.Init) learnServerTime(m.captureUs / 1000);
    const sink = this.tiles.get(m.tile)?.sink;
    if (!sink) return;
    if (m.type === MessageType.Jpeg) {
      this.weighStill(data.byteLength);
      sink.still(m.data, m.captureUs);
    }
    else sink.media(m.data, m.type === MessageType.Init, m.key, m.captureUs);
  }

  private weighStill(size: number): void {
    this.still = this.still ? this.still * 0.9 + size * 0.1 : size;
    const shown = stillBytes.peek();
    if (Math.abs(this.still - shown) > shown * 0.15) stillBytes.value = Math.round(this.still);
  }

  private dispatch(m: ServerText): void {
    if (m.op === 'ready') this.tiles.get(m.tile)?.sink.ready(m.mime);
    else if (m.op === 'dropped') this.tiles.get(m.tile)?.sink.dropped(m.frames);
    else if (m.op === 'error' && m.tile !== undefined) this.tiles.get(m.tile)?.sink.error(m.code);
    for (const fn of this.listeners) fn(m);
  }
}

export const live = new LiveConnection();
