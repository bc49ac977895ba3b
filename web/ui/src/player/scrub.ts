/*
 * scrub.ts - the key frame nearest to where the hand is, as fast as they can be fetched: one
 * request at a time, and always for the newest position.
 */
import { api, ms, type StreamName } from '../api/client';
import { releaseVideo } from '../live/media-source';

const CACHE = 60;

export class Scrubber {
  private readonly video = document.createElement('video');
  private wanted: number | null = null;
  private busy = false;
  private dead = false;
  private readonly cache = new Map<number, ImageBitmap>();

  /** DRAW gets the picture and the time of its frame (null when the server did not say); MISSED, that there is none. */
  constructor(private readonly camera: string, private readonly stream: StreamName,
              private readonly draw: (picture: CanvasImageSource, width: number, height: number, at: number | null) => void,
              private readonly step = 1000, private readonly missed: () => void = () => undefined) {
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.preload = 'auto';
  }

  show(t: number): void {
    this.wanted = Math.round(t / this.step) * this.step;
    if (!this.busy) void this.run();
  }

  private async run(): Promise<void> {
    this.busy = true;
    while (this.wanted !== null && !this.dead) {
      const t = this.wanted;
      this.wanted = null;
      await this.load(t);
    }
    this.busy = false;
  }

  private async load(t: number): Promise<void> {
    const known = this.cache.get(t);
    if (known) {
      this.draw(known, known.width, known.height, null);
      return;
    }
    try {
      const response = await fetch(api.keyframeUrl(this.camera, t, this.stream));
      if (!response.ok) { this.missed(); return; }
      const at = response.headers.get('Kentongan-Start');
      const url = URL.createObjectURL(await response.blob());
      const shown = await this.decode(url);
      URL.revokeObjectURL(url);
      if (this.dead) return;
      if (!shown) { this.missed(); return; }
      this.draw(this.video, this.video.videoWidth, this.video.videoHeight, at ? ms(at) : null);
      await this.remember(t);
    } catch {
      // A preview that fails is only missing.
    }
  }

  private decode(url: string): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (ok: boolean): void => {
        this.video.onloadeddata = this.video.onerror = null;
        clearTimeout(timer);
        resolve(ok);
      };
      const timer = setTimeout(() => done(false), 1500);
      this.video.onloadeddata = () => done(true);
      this.video.onerror = () => done(false);
      this.video.src = url;
    });
  }

  private async remember(t: number): Promise<void> {
    if (typeof createImageBitmap !== 'function') return;
    this.cache.set(t, await createImageBitmap(this.video));
    const oldest = this.cache.keys().next().value;
    if (this.cache.size > CACHE && oldest !== undefined) {
      this.cache.get(oldest)?.close();
      this.cache.delete(oldest);
    }
  }

  destroy(): void {
    this.dead = true;
    this.wanted = null;
    for (const b of this.cache.values()) b.close();
    this.cache.clear();
    releaseVideo(this.video);
  }
}
