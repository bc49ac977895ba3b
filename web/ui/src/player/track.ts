/*
 * track.ts - one camera's recording in one <video>. Lists segments around the play head, fetches
 * and appends them, and says what there is to see. The clock is the deck's, see deck.ts.
 *
 * Media time 0 is ORIGIN (ms UTC), so video time and wall time differ by a constant.
 */
import { api, ApiError, fetchChecked, ms, serverUrl, type Segment, type StreamName } from '../api/client';
import { listChunks, stretch } from '../live/boxes';
import { trimTo } from '../live/catch-up';
import { canPlay, openMediaSource, releaseVideo } from '../live/media-source';
import { Stumbles } from '../live/slowness';
import { serverNow } from '../time/server-clock';
import { FrameTimes, type Part, Playlist, seekThreshold, syncRate } from './playlist';

const LIST_AHEAD = 60_000;
const PLAY_AHEAD = 12_000;
const KEEP_BEHIND = 20; // s
const LEAD = 3_600_000; // media time before the point of a seek, so that one can go back a little
const RELIST = 2000;
const RETRY = 3000;

export type TrackState = 'loading' | 'ready' | 'gap' | 'failed';

const inits = new Map<string, Promise<ArrayBuffer>>();

function fetchInit(path: string): Promise<ArrayBuffer> {
  let p = inits.get(path);
  if (!p) {
    p = fetchChecked(serverUrl(path)).then((r) => r.arrayBuffer());
    p.catch(() => inits.delete(path));
    inits.set(path, p);
  }
  return p;
}

function toPart(s: Segment): Part {
  const start = ms(s.start);
  return { start, end: start + s.duration * 1000, run: s.run, mime: s.mime, init: s.init, url: s.url, appended: false };
}

export class Track {
  state: TrackState = 'loading';
  /** Why nothing can be shown: an error code, when state is `failed`. */
  why = '';
  /** In a gap: where recording goes on, if known; undefined while looking. */
  nextStart: number | null | undefined = undefined;
  /** In a hole too short to be called a gap, which no video plays through by itself; `nextStart` is its end. */
  between = false;
  private readonly playlist = new Playlist();
  private readonly frames = new FrameTimes();
  private origin = 0;
  private source: MediaSource | null = null;
  private sb: SourceBuffer | null = null;
  private mime = '';
  private init = '';
  private run = -1;
  private offset = 0;
  private generation = 0;
  private busy = false;
  private listing: Promise<void> | null = null;
  private listedAt = 0;
  private failedAt = 0;
  private keys: number[] = [];
  private abort = new AbortController();
  private looking = false;
  private readonly stumbles = new Stumbles();

  /** KEYSONLY: only the first frame of each segment is fetched and shown until the next (for speed). */
  constructor(readonly camera: string, readonly stream: StreamName, private readonly keysOnly: boolean,
              private readonly video: HTMLVideoElement, private readonly changed: () => void) {
    video.muted = true;
    video.playsInline = true;
    video.addEventListener('error', this.stumbled);
  }

  /* The decoder gave up, at a damaged frame perhaps: from here on anew. */
  private readonly stumbled = (): void => {
    if (!this.video.error) return;
    if (this.stumbles.again(performance.now())) void this.restart(this.wall());
    else this.setState('failed', 'media');
  };

  wall(): number {
    return this.origin + this.video.currentTime * 1000;
  }

  private media(t: number): number {
    return (t - this.origin) / 1000;
  }

  private buffered(t: number): boolean {
    const b = this.video.buffered;
    const at = this.media(t);
    for (let i = 0; i < b.length; i++) if (at >= b.start(i) - 0.02 && at < b.end(i)) return true;
    return false;
  }

  /** Go to T: at once when it is in the buffer, otherwise by loading anew. */
  seek(t: number): void {
    this.nextStart = undefined;
    if (this.sb && this.buffered(t)) {
      this.video.currentTime = Math.max(0, this.media(t));
      return;
    }
    void this.restart(t);
  }

  private async restart(t: number): Promise<void> {
    const mine = ++this.generation;
    this.abort.abort();
    this.abort = new AbortController();
    this.playlist.reset(t);
    this.frames.reset();
    this.keys = [];
    this.sb = null;
    this.source = null;
    this.mime = this.init = '';
    this.run = -1;
    this.busy = false;
    this.listing = null;
    this.listedAt = this.failedAt = 0;
    this.origin = t - LEAD;
    this.setState('loading');
    const source = await openMediaSource(this.video);
    if (mine === this.generation) this.source = source;
  }

  private setState(state: TrackState, why = ''): void {
    if (state === this.state && why === this.why) return;
    this.state = state;
    this.why = why;
    this.changed();
  }

  /** Called by the deck on every frame: keep the buffer filled and the video at T. */
  follow(t: number, rate: number, playing: boolean, leading: boolean): void {
    this.fill(t, rate);
    this.between = false;
    const spot = this.playlist.at(t);
    if (spot.kind === 'gap') {
      if (spot.next !== null) this.nextStart = spot.next;
      else if (this.nextStart === undefined) void this.lookAhead(t);
      this.pause();
      this.setState('gap');
      return;
    }
    const here = this.buffered(t);
    this.between = !here && spot.kind === 'video' && spot.part.appended && t < spot.part.start;
    if (this.between && spot.kind === 'video') {
      this.nextStart = spot.part.start;
      this.pause();
      return;
    }
    if (!here) {
      if (!leading || this.video.readyState < 3) this.pause();
      if (this.state !== 'failed' && (!leading || !playing)) this.setState('loading');
      return;
    }
    this.steer(t, rate, playing, leading);
  }

  private steer(t: number, rate: number, playing: boolean, leading: boolean): void {
    const { video } = this;
    const diff = this.wall() - t;
    const far = Math.abs(diff) > (playing ? seekThreshold(rate) : 1) || (diff < -30 && this.endsHere());
    if (far && !video.seeking && !leading)
      video.currentTime = Math.max(0, this.media(t));
    const wanted = playing && !leading ? syncRate(rate, diff) : Math.min(16, rate);
    if (Math.abs(video.playbackRate - wanted) > 0.001) video.playbackRate = wanted;
    if (playing && video.paused) void video.play().catch(() => undefined);
    else if (!playing) this.pause();
    if (video.readyState >= 2 && !video.seeking) this.setState('ready');
  }

  private pause(): void {
    if (!this.video.paused) this.video.pause();
  }

  /** Whether the video itself can lead the clock now. */
  canLead(): boolean {
    return this.state === 'ready' && !this.video.seeking && this.video.readyState >= 2 && !this.endsHere();
  }

  /**
   * The video stands at the last frame before a gap, short or long: it stops there by itself, a little
   * before the end of what was recorded, and would wait for ever.
   */
  endsHere(): boolean {
    const { video } = this;
    if (video.readyState !== 2 || video.seeking) return false;
    const b = video.buffered;
    for (let i = 0; i < b.length; i++) {
      if (video.currentTime < b.start(i) - 0.05 || video.currentTime > b.end(i) + 0.05) continue;
      const spot = this.playlist.at(this.origin + b.end(i) * 1000 + 5);
      return spot.kind === 'gap' || (spot.kind === 'video' && spot.part.appended);
    }
    return false;
  }

  private fill(t: number, rate: number): void {
    const now = performance.now();
    if (now - this.failedAt < RETRY) return;
    const speed = Math.max(1, rate);
    const edge = this.playlist.listedTo;
    if (!this.listing && edge < t + (LIST_AHEAD / 2) * speed && now - this.listedAt > RELIST)
      this.listing = this.list(Math.max(edge, t), LIST_AHEAD * speed).finally(() => { this.listing = null; });
    const part = this.source && !this.busy ? this.playlist.wanted(t, PLAY_AHEAD * speed) : null;
    if (part) void this.append(part);
  }

  /* Ask for what comes after FROM. At the edge of now the answer is not final: only what is there counts. */
  private async list(from: number, length: number): Promise<void> {
    const mine = this.generation;
    this.listedAt = performance.now();
    try {
      const answer = await api.segments(this.camera, from, from + length, this.stream, this.abort.signal);
      if (mine !== this.generation) return;
      const parts = answer.items.map(toPart);
      const last = parts[parts.length - 1];
      const final = answer.next && last ? last.end : Math.min(from + length, Math.max(last?.end ?? 0, serverNow() - 4000));
      this.playlist.add(parts, Math.max(from, final));
      if (final >= from + length - 1) this.listedAt = 0;
    } catch (error) {
      if (mine === this.generation) this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if ((error as Error).name === 'AbortError') return;
    this.failedAt = performance.now();
    if (error instanceof ApiError && error.status === 410) {
      void this.restart(this.wall());
      return;
    }
    this.setState('failed', error instanceof ApiError ? error.code : 'media');
  }

  private async append(part: Part): Promise<void> {
    const mine = this.generation;
    this.busy = true;
    try {
      const signal = this.abort.signal;
      const url = this.keysOnly ? api.keyframeUrl(this.camera, part.start + 1, this.stream) : serverUrl(part.url);
      const [init, data] = await Promise.all([fetchInit(part.init),
        fetchChecked(url, { signal }).then((r) => r.arrayBuffer())]);
      if (mine !== this.generation) return;
      await this.feed(part, init, this.keysOnly ? keyOf(new Uint8Array(data), part) : new Uint8Array(data));
      part.appended = true;
    } catch (error) {
      if (mine === this.generation) this.fail(error);
    } finally {
      if (mine === this.generation) this.busy = false;
    }
  }

  private async feed(part: Part, init: ArrayBuffer, data: Uint8Array): Promise<void> {
    if (!canPlay(part.mime)) throw new ApiError(415, 'codec', part.mime);
    if (!this.sb) {
      this.sb = this.source!.addSourceBuffer(part.mime);
      this.mime = part.mime;
    } else if (part.mime !== this.mime) {
      this.sb.changeType(part.mime);
      this.mime = part.mime;
      this.init = '';
    }
    if (part.init !== this.init) {
      await this.write(init);
      this.init = part.init;
    }
    const chunks = listChunks(data);
    const first = chunks[0];
    if (!first) return;
    const offset = (part.start - this.origin) / 1000 - first.time;
    if (this.keysOnly || part.run !== this.run || Math.abs(offset - this.offset) > 0.04) {
      this.offset = offset;
      this.sb.timestampOffset = offset;
      this.run = part.run;
    }
    await this.write(data as BufferSource);
    this.keys.push((part.start - this.origin) / 1000);
    this.keys.sort((a, b) => a - b);
    this.frames.add(chunks.filter((c) => c.track === first.track)
      .map((c) => this.origin + (c.time + this.offset) * 1000));
    const kept = trimTo(this.keys, this.video.currentTime, this.video.buffered.length ? this.video.buffered.start(0) : 0, KEEP_BEHIND);
    if (kept !== null) await this.trim(kept);
  }

  private async trim(to: number): Promise<void> {
    const sb = this.sb;
    if (!sb || sb.updating) return;
    sb.remove(0, to);
    await updated(sb);
    this.keys = this.keys.filter((k) => k >= to);
    this.playlist.forget(this.origin + to * 1000);
    this.playlist.listedFrom = Math.max(this.playlist.listedFrom, this.origin + to * 1000);
  }

  private async write(data: BufferSource): Promise<void> {
    const sb = this.sb!;
    if (sb.updating) await updated(sb);
    sb.appendBuffer(data);
    await updated(sb);
  }

  /* A gap whose end was not listed: look in ever larger windows for where recording goes on. */
  private async lookAhead(t: number): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    const mine = this.generation;
    try {
      let from = t;
      for (const length of [600_000, 6 * 3_600_000, 3 * 86_400_000, 40 * 86_400_000]) {
        if (from > serverNow()) break;
        const answer = await api.segments(this.camera, from, from + length, this.stream, this.abort.signal);
        if (mine !== this.generation) return;
        const hit = answer.items.find((s) => ms(s.start) > t);
        if (hit) {
          this.nextStart = ms(hit.start);
          return;
        }
        from += length;
      }
      this.nextStart = null;
    } catch {
      // The next gap asks again.
    } finally {
      this.looking = false;
    }
  }

  nextFrame(t: number): number | null {
    return this.frames.next(t);
  }

  previousFrame(t: number): number | null {
    return this.frames.previous(t);
  }

  destroy(): void {
    this.generation++;
    this.abort.abort();
    this.video.removeEventListener('error', this.stumbled);
    releaseVideo(this.video);
  }
}

/* What stands behind the init segment in a key frame's file: one chunk, made to last as long as PART. */
function keyOf(file: Uint8Array, part: Part): Uint8Array {
  const chunk = listChunks(file)[0];
  if (!chunk) return new Uint8Array(0);
  const key = file.subarray(chunk.offset, chunk.offset + chunk.size);
  stretch(key, (part.end - part.start) / 1000);
  return key;
}

function updated(sb: SourceBuffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      sb.removeEventListener('updateend', done);
      sb.removeEventListener('error', bad);
      resolve();
    };
    const bad = (): void => {
      sb.removeEventListener('updateend', done);
      sb.removeEventListener('error', bad);
      reject(new Error('the browser cannot read this video'));
    };
    if (!sb.updating) {
      resolve();
      return;
    }
    sb.addEventListener('updateend', done);
    sb.addEventListener('error', bad);
  });
}
