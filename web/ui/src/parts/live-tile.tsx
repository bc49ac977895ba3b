/*
 * live-tile.tsx - one live picture with all that must be said about it: its name, its age when it
 * is not fresh, and in words when the camera is away or not recorded.
 *
 * Out of sight means unsubscribed: an off-screen tile at once, a hidden page after 5 s. A tile
 * whose video does not keep up shows stills and tries video again by itself.
 */
import { useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Camera } from '../api/client';
import { duration, t, tCode } from '../i18n';
import { whyText } from '../i18n/why';
import { type Handle, linkState, live } from '../live/connection';
import { mediaSourceClass } from '../live/media-source';
import type { StreamKind } from '../live/protocol';
import { retryAfter, Slowness, Stumbles } from '../live/slowness';
import { type TileFailure, TilePlayer } from '../live/tile-player';
import { motionBoxes } from '../state/cameras';
import { serverNow } from '../time/server-clock';
import { onTick, pageVisible } from './visible';
import { useVisible } from './use-visible';

const STALE = 2000; // ms: older pictures say so
const STILL_LATE = 15_000; // stills are expected to be some seconds old
const TOO_SLOW = 9000; // ms: video this late is given up for stills
const FALLBACK_EVERY = 5; // s between stills where the network is slow
const STEADY = 60_000; // video that played for so long is forgiven its failures
const ASK_AGAIN = 5000; // after the server ended a tile

interface PictureProps {
  camera: Camera;
  stream: StreamKind;
  /** Called with the capture time of the picture on show, twice a second; null without one. */
  onAge?: (age: number | null) => void;
  onFallback?: (stream: StreamKind, why: 'codec' | 'slow') => void;
  paused?: boolean;
  /** Seconds between stills, when the stream is that. */
  every?: number;
  /** A picture to show until the first of this stream is there. */
  poster?: HTMLCanvasElement | null;
}

/** Which stream to take when STREAM cannot be played here. */
export function fallback(stream: StreamKind, hasSub: boolean): StreamKind {
  return stream === 'main' && hasSub ? 'sub' : 'still';
}

export function LivePicture({ camera, stream, onAge, onFallback, paused, poster, every = 0 }: PictureProps) {
  const video = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLImageElement>(null);
  const holder = useRef<HTMLDivElement>(null);
  const subscription = useRef<Handle | null>(null);
  const shown = useSignal<'none' | 'video' | 'still'>('none');
  const attempt = useSignal(0);
  const kind: StreamKind = mediaSourceClass() ? stream : 'still';
  const gone = useRef(false);
  const stumbles = useRef(new Stumbles());

  useLayoutEffect(() => () => { gone.current = true; }, []); // the first to be cleaned up

  useEffect(() => {
    if (!poster || !holder.current) return undefined;
    poster.className = 'poster';
    holder.current.replaceChildren(poster);
    return () => poster.remove();
  }, [poster]);

  // Before the browser paints, not after: the answer is under way while it does.
  useLayoutEffect(() => {
    if (paused || !video.current) return undefined;
    const element = video.current;
    let player: TilePlayer | null = null;
    let capture: number | null = null;
    let stillUrl = '';
    let began = performance.now();
    const slowness = new Slowness();
    const give = (why: 'codec' | 'slow'): void => onFallback?.(kind, why);
    // A decoder may stumble over one damaged frame: that says nothing about the camera.
    const failed = (why: TileFailure): void => {
      if (why === 'media' && stumbles.current.again(performance.now())) attempt.value++;
      else give(why === 'media' && (kind === 'sub' || shown.peek() === 'video') ? 'slow' : 'codec'); // `slow` is tried again later
    };
    if (kind !== 'still') player = new TilePlayer(element, failed);
    const playing = (): void => {
      shown.value = 'video';
      holder.current?.replaceChildren();
    };
    element.addEventListener('timeupdate', playing);
    element.addEventListener('loadeddata', playing);
    let retry: ReturnType<typeof setTimeout> | undefined;
    const handle = live.subscribe(camera.id, kind, {
      ready: (mime) => {
        clearTimeout(retry); // a new connection has asked again already
        player?.setMime(mime);
      },
      media: (data, init, key, at) => {
        if (!init) slowness.arrived(serverNow() - at / 1000, performance.now());
        player?.feed(data, init, key, at);
      },
      still: (data, at) => {
        const old = stillUrl;
        stillUrl = URL.createObjectURL(new Blob([data as BlobPart], { type: 'image/jpeg' }));
        if (still.current) still.current.src = stillUrl;
        if (old) URL.revokeObjectURL(old);
        capture = at / 1000;
        shown.value = 'still';
        holder.current?.replaceChildren();
      },
      dropped: () => slowness.dropped(performance.now()),
      error: (code) => {
        clearTimeout(retry);
        if (code !== 'not-found') retry = setTimeout(() => { attempt.value++; }, ASK_AGAIN);
      },
    }, every);
    subscription.current = handle;
    const untick = onTick(() => {
      const at = player ? player.shownCapture() : capture;
      const age = at === null ? null : Math.max(0, serverNow() - at);
      onAge?.(age);
      if (!player || camera.state === 'offline' || linkState.value !== 'open') began = performance.now();
      const late = age === null ? performance.now() - began : age;
      const stuck = late > TOO_SLOW && camera.recording && performance.now() - began > TOO_SLOW;
      if (player && (stuck || slowness.tooSlow(performance.now()))) give('slow');
    });
    return () => {
      if (!gone.current) keepPicture(holder.current, shown.peek() === 'still' ? still.current : element);
      untick();
      clearTimeout(retry);
      subscription.current = null;
      handle.stop();
      player?.destroy(gone.current);
      element.removeEventListener('timeupdate', playing);
      element.removeEventListener('loadeddata', playing);
      if (stillUrl) URL.revokeObjectURL(stillUrl);
      shown.value = 'none';
    };
  }, [camera.id, kind, paused, attempt.value]);
  useEffect(() => subscription.current?.setEvery(every), [every]);

  return (
    <div class="picture">
      <div ref={holder} />
      <video ref={video} muted playsInline tabIndex={-1} aria-hidden="true" class={kind === 'still' ? 'hidden' : ''}
        data-shown={shown.value} />
      <img ref={still} class={`still${shown.value === 'still' ? '' : ' hidden'}`} alt="" />
      {shown.value === 'video' && <Outlines id={camera.id} camera={camera} video={video} />}
    </div>
  );
}

/* Around what moves. The picture is centred in its box: the outlines must stand where it does. */
function Outlines({ id, camera, video }: { id: string; camera: Camera; video: RefObject<HTMLVideoElement | null> }) {
  const boxes = motionBoxes(id).value;
  if (boxes.length === 0) return null;
  const w = video.current?.videoWidth || camera.width || 16;
  const h = video.current?.videoHeight || camera.height || 9;
  return (
    <svg class="outline" viewBox={`0 0 ${w} ${h}`} aria-hidden="true">
      {boxes.map(([x = 0, y = 0, bw = 0, bh = 0], i) => <rect key={i} x={x * w} y={y * h} width={bw * w} height={bh * h} rx={w / 160} />)}
    </svg>
  );
}

/** What stands in the middle of a tile instead of, or over, a picture. */
export function Middle({ camera, age }: { camera: Camera; age: number | null }) {
  if (!camera.enabled) return <div class="center"><strong>{tCode('camera', 'disabled')}</strong></div>;
  if (camera.state === 'offline' || (age === null && camera.state === 'connecting'))
    return (
      <div class="center">
        <div><strong>{tCode('camera', camera.state)}</strong><span class="why">{camera.state === 'offline' && whyText(camera.why)}</span></div>
      </div>
    );
  return age === null ? <div class="center">{t('tile.waiting')}</div> : null;
}

function Badges({ camera, age, still, stillNote, guest }: { camera: Camera; age: number | null; still: boolean; stillNote: boolean; guest: boolean }) {
  const stale = age !== null && age > STALE;
  return (
    <span class="badges">
      {camera.enabled && !camera.recording && <span class="badge bad">{t('tile.notRecording')}</span>}
      {stale && <span class={`badge num${still && age < STILL_LATE ? '' : ' warn'}`}>{t('tile.age', { age: duration(age) })}</span>}
      {stillNote && !stale && <span class="badge">{t('tile.stills')}</span>}
      {guest && <span class="badge">{t('tile.guest')}</span>}
    </span>
  );
}

export interface TileProps {
  camera: Camera;
  stream: StreamKind;
  onOpen?: (poster: HTMLCanvasElement | null) => void;
  index?: number;
  /** It stands in another camera's place, because something moves. */
  guest?: boolean;
  every?: number;
  /** It came into sight, or left it. */
  onSight?: (id: string, inSight: boolean) => void;
}

/** A tile of the wall. */
export function LiveTile({ camera, stream, onOpen, index, guest = false, every = 0, onSight }: TileProps) {
  const box = useRef<HTMLButtonElement>(null);
  const visible = useVisible(box);
  const age = useSignal<number | null>(null);
  const forced = useSignal<StreamKind | null>(null);
  const failures = useRef(0); // of video, in a row
  const triedAt = useRef(0);
  const retry = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const bySnapshot = camera.enabled && !camera.recording && camera.has_snapshot; // it answers HTTP, if nothing else
  const used = forced.value ?? (bySnapshot ? 'still' : stream);

  useEffect(() => {
    forced.value = null;
  }, [camera.id, stream]);

  useEffect(() => {
    if (!visible) return undefined;
    onSight?.(camera.id, true);
    return () => onSight?.(camera.id, false);
  }, [camera.id, visible]);

  const onFallback = (from: StreamKind, why: 'codec' | 'slow'): void => {
    forced.value = why === 'slow' ? 'still' : fallback(from, camera.has_sub);
    if (why !== 'slow') return;
    const now = performance.now();
    failures.current = now - triedAt.current > STEADY ? 1 : failures.current + 1;
    const wait = retryAfter(failures.current, Math.random());
    triedAt.current = now + wait;
    clearTimeout(retry.current);
    retry.current = setTimeout(() => { forced.value = null; }, wait);
  };
  useEffect(() => () => clearTimeout(retry.current), []);
  const open = (): void => onOpen?.(grab(box.current));
  const known = linkState.value !== 'lost'; // what it does now, and not what it did when the recorder went away
  const rounded = age.value === null ? null : age.value > STALE ? Math.floor(age.value / 1000) * 1000 : 0;
  return (
    <button ref={box} type="button" class={`tile${camera.motion && known ? ' motion' : ''}${guest ? ' guest' : ''}`} onClick={open}
      data-camera={camera.id}>
      <LivePicture camera={camera} stream={used} every={forced.value === 'still' ? Math.max(every, FALLBACK_EVERY) : every} paused={!visible || !pageVisible.value || !camera.enabled}
        onFallback={onFallback} onAge={(a) => { age.value = quantise(a); }} />
      {!(bySnapshot && age.value !== null) && <Middle camera={camera} age={rounded} />}
      <Badges camera={camera} age={rounded} still={used === 'still'} stillNote={used === 'still' && stream !== 'still'} guest={guest} />
      <span class="name">
        <i class={`dot${!known ? ' off' : camera.motion ? ' motion' : camera.recording ? '' : camera.enabled ? ' bad' : ' off'}`} />
        <span class="ellipsis grow">{camera.name}</span>
        {index !== undefined && index < 9 && <kbd class="wide-only" aria-hidden="true">{index + 1}</kbd>}
      </span>
    </button>
  );
}

/* Ages under 2 s are all the same to the page: no rendering for them. */
const quantise = (age: number | null): number | null => (age === null ? null : age > STALE ? Math.floor(age / 1000) * 1000 : 0);

/* What was on show stays behind the words "waiting" while a tile changes between video and stills. */
function keepPicture(holder: HTMLElement | null, picture: HTMLVideoElement | HTMLImageElement | null): void {
  const canvas = copyOf(picture);
  if (!holder || !canvas) return;
  canvas.className = 'poster';
  holder.replaceChildren(canvas);
}

function copyOf(picture: HTMLVideoElement | HTMLImageElement | null): HTMLCanvasElement | null {
  if (!picture) return null;
  const isVideo = picture instanceof HTMLVideoElement;
  const width = isVideo ? (picture.readyState < 2 ? 0 : picture.videoWidth) : picture.complete ? picture.naturalWidth : 0;
  const height = isVideo ? picture.videoHeight : picture.naturalHeight;
  if (!width || !height) return null;
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d')?.drawImage(picture, 0, 0);
  return canvas;
}

/** The picture a tile shows now, to stand in until the large one is there. */
function grab(tile: HTMLElement | null): HTMLCanvasElement | null {
  const still = tile?.querySelector<HTMLImageElement>('img.still:not(.hidden)');
  return copyOf(still ?? tile?.querySelector('video') ?? null);
}
