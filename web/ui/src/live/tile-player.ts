/*
 * tile-player.ts - one live picture: bytes of one subscription into a <video>, kept close to now.
 *
 * feed() never waits. What comes faster than the browser takes it is joined into one append;
 * when a tile falls behind, it jumps rather than plays late.
 */
import { listChunks } from './boxes';
import { catchUp, continueAt, Target, trimTo } from './catch-up';
import { canChangeRate, canPlay, openMediaSource, releaseVideo } from './media-source';

const KEEP = 4; // seconds of the past kept in the buffer
const SETTLING = 1500; // ms after the first pictures of a run
const QUEUE_LIMIT = 16 << 20;

interface Piece {
  data: Uint8Array;
  init: boolean;
  key: boolean;
  captureMs: number;
}

export type TileFailure = 'codec' | 'media';

export class TilePlayer {
  private sourceBuffer: SourceBuffer | null = null;
  private source: MediaSource | null = null;
  private opened: Promise<MediaSource> | null;
  private mime = '';
  private queue: Piece[] = [];
  private queued = 0;
  private offset: number | null = null;
  private end = 0;
  private keys: number[] = [];
  private dead = false;
  private readonly target = new Target();
  private readonly useRate = canChangeRate();
  private lastArrival = 0;
  private settledAt = Number.POSITIVE_INFINITY;
  /** capture time (ms) - media time (ms) of the newest frame: one number places every frame of a run. */
  private captureMinusMedia: number | null = null;
  private newestCapture = 0;

  constructor(private readonly video: HTMLVideoElement, private readonly onFail: (why: TileFailure) => void) {
    video.muted = true;
    video.playsInline = true;
    video.addEventListener('error', this.failed);
    this.opened = openMediaSource(video); // while the server is asked
    this.opened.catch(() => undefined);
  }

  private readonly failed = (): void => {
    if (!this.dead && this.video.error) this.onFail('media');
  };

  /** The stream has these codecs from now on. */
  setMime(mime: string): void {
    if (this.dead || mime === this.mime) return;
    if (!canPlay(mime)) {
      this.onFail('codec');
      return;
    }
    this.mime = mime;
    if (this.sourceBuffer && !this.sourceBuffer.updating && 'changeType' in this.sourceBuffer) {
      this.sourceBuffer.changeType(mime);
      return;
    }
    void this.open(mime);
  }

  private async open(mime: string): Promise<void> {
    this.sourceBuffer = null;
    this.offset = null;
    this.end = 0;
    this.keys = [];
    const opening = this.opened ?? openMediaSource(this.video);
    this.opened = null;
    const source = await opening;
    if (this.dead || mime !== this.mime) return;
    this.source = source;
    try {
      this.sourceBuffer = source.addSourceBuffer(mime);
    } catch {
      this.onFail('codec');
      return;
    }
    this.sourceBuffer.addEventListener('updateend', this.updated);
    this.sourceBuffer.addEventListener('error', () => !this.dead && this.onFail('media'));
    this.pump();
  }

  feed(data: Uint8Array, init: boolean, key: boolean, captureUs: number): void {
    if (this.dead) return;
    if (init) {
      this.queue = []; // what came before belongs to the past
      this.queued = 0;
      this.settledAt = Number.POSITIVE_INFINITY;
    }
    this.queue.push({ data, init, key, captureMs: captureUs / 1000 });
    this.queued += data.length;
    if (!init) this.arrived(captureUs / 1000);
    if (this.queued > QUEUE_LIMIT) this.dropToKey();
    this.pump();
  }

  private arrived(captureMs: number): void {
    const now = performance.now();
    if (now > this.settledAt) this.target.arrived((now - this.lastArrival) / 1000);
    this.lastArrival = now;
    this.newestCapture = captureMs;
  }

  /* The browser takes nothing (a hidden phone, a stuck decoder): keep what a decoder can start with. */
  private dropToKey(): void {
    const last = this.queue.map((p) => p.key).lastIndexOf(true);
    if (last <= 0) return;
    const init = this.queue.filter((p, i) => p.init && i < last).slice(-1);
    this.queue = [...init, ...this.queue.slice(last)];
    this.queued = this.queue.reduce((n, p) => n + p.data.length, 0);
  }

  private pump(): void {
    const sb = this.sourceBuffer;
    if (!sb || sb.updating || this.source?.readyState !== 'open' || this.queue.length === 0) return;
    const batch = this.takeBatch();
    const first = batch.find((p) => !p.init);
    const time = first ? listChunks(first.data)[0]?.time : undefined;
    if (first && time !== undefined) {
      const offset = continueAt(time, this.offset, this.end);
      if (offset !== this.offset) {
        this.offset = offset;
        sb.timestampOffset = offset;
      }
      this.note(batch);
    }
    try {
      sb.appendBuffer(batch.length === 1 && batch[0] ? (batch[0].data as BufferSource) : join(batch));
    } catch (error) {
      if ((error as DOMException).name === 'QuotaExceededError') this.makeRoom();
      else this.onFail('media');
    }
  }

  /* An init segment and the chunks after it, up to the next init segment. */
  private takeBatch(): Piece[] {
    let n = 1;
    while (n < this.queue.length && !this.queue[n]?.init) n++;
    const batch = this.queue.splice(0, n);
    for (const p of batch) this.queued -= p.data.length;
    return batch;
  }

  private note(batch: Piece[]): void {
    for (const p of batch) {
      if (p.init) continue;
      const chunk = listChunks(p.data)[0];
      if (!chunk) continue;
      const at = chunk.time + (this.offset ?? 0);
      this.captureMinusMedia = p.captureMs - at * 1000;
      if (p.key) this.keys.push(at);
      this.end = Math.max(at + chunk.duration, at);
    }
  }

  private makeRoom(): void {
    const sb = this.sourceBuffer;
    const b = this.video.buffered;
    if (!sb || sb.updating || b.length === 0) return;
    const to = this.keys.length ? this.keys[this.keys.length - 1]! : b.end(b.length - 1);
    if (to > b.start(0)) sb.remove(b.start(0), to);
  }

  private readonly updated = (): void => {
    if (this.dead) return;
    this.steer();
    if (!this.trim()) this.pump();
  };

  private steer(): void {
    const { video } = this;
    const b = video.buffered;
    if (b.length === 0) return;
    const now = performance.now();
    if (this.settledAt === Number.POSITIVE_INFINITY) this.settledAt = now + SETTLING;
    const last = b.length - 1;
    const move = catchUp(video.currentTime, b.start(last), b.end(last), this.target.seconds, this.useRate,
      now < this.settledAt);
    if (move.seek !== null) video.currentTime = move.seek;
    if (video.playbackRate !== move.rate) video.playbackRate = move.rate;
    if (video.paused) void video.play().catch(() => undefined);
  }

  private trim(): boolean {
    const sb = this.sourceBuffer;
    const b = this.video.buffered;
    if (!sb || sb.updating || b.length === 0) return false;
    const to = trimTo(this.keys, this.video.currentTime, b.start(0), KEEP);
    if (to === null) return false;
    this.keys = this.keys.filter((k) => k >= to);
    sb.remove(0, to);
    return true;
  }

  /** Capture time in ms of the picture on show, or null before the first. */
  shownCapture(): number | null {
    if (this.captureMinusMedia === null || this.video.readyState < 2) return null;
    return Math.min(this.newestCapture, this.video.currentTime * 1000 + this.captureMinusMedia);
  }

  /** LATER: its element is gone, too, and what takes its place on the page comes first. */
  destroy(later = false): void {
    this.dead = true;
    this.queue = [];
    this.video.removeEventListener('error', this.failed);
    if (later) setTimeout(releaseVideo, 0, this.video);
    else releaseVideo(this.video);
  }
}

function join(pieces: Piece[]): ArrayBuffer {
  const out = new Uint8Array(pieces.reduce((n, p) => n + p.data.length, 0));
  let at = 0;
  for (const p of pieces) {
    out.set(p.data, at);
    at += p.data.length;
  }
  return out.buffer;
}
