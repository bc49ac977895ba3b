/* media-source.ts - Media Source Extensions under either name. iPhones have only the managed kind. */

type Constructor = typeof MediaSource;

declare global {
  interface Window {
    ManagedMediaSource?: Constructor;
    WebKitMediaSource?: Constructor;
  }
}

export function mediaSourceClass(): Constructor | null {
  if (typeof window === 'undefined') return null;
  return window.ManagedMediaSource ?? window.MediaSource ?? null;
}

export function canPlay(mime: string): boolean {
  return mediaSourceClass()?.isTypeSupported(mime) ?? false;
}

/** Safari buffers again at every change of the playback rate. */
export const canChangeRate = (): boolean =>
  typeof navigator !== 'undefined' && !/^((?!chrome|android|crios|fxios).)*safari/i.test(navigator.userAgent);

/**
 * Connect a new MediaSource to VIDEO and resolve when it is open. A managed one opens only when
 * remote playback is off. The URL is revoked at once: the element holds the source.
 */
export function openMediaSource(video: HTMLVideoElement): Promise<MediaSource> {
  const Source = mediaSourceClass();
  if (!Source) return Promise.reject(new Error('no Media Source Extensions'));
  const source = new Source();
  return new Promise((resolve) => {
    const url = URL.createObjectURL(source);
    source.addEventListener('sourceopen', () => {
      URL.revokeObjectURL(url);
      resolve(source);
    }, { once: true });
    video.disableRemotePlayback = true;
    video.src = url;
  });
}

/** Let go of decoder and buffers now; an element that is only removed keeps both for a while. */
export function releaseVideo(video: HTMLVideoElement): void {
  video.pause();
  video.removeAttribute('src');
  video.load();
}
