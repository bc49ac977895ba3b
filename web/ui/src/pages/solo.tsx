/* solo.tsx - one camera, its main stream, as large as the window; zoom, pan, and the way back in time. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Camera } from '../api/client';
import { bitrate, duration, number, t } from '../i18n';
import { Tool, useKeys } from '../parts/basics';
import { fallback, LivePicture, Middle } from '../parts/live-tile';
import { NO_ZOOM, panBy, zoomAt, type Zoom } from '../parts/zoom-pan';
import { pageVisible } from '../parts/visible';
import { go, href } from '../router';
import { cameras, codecName } from '../state/cameras';
import { setting } from '../state/session';
import type { StreamKind } from '../live/protocol';
import { serverNow } from '../time/server-clock';
import { arrange } from './wall-layout';

const BACK = 10_000;
const LATE = 1500; // ms

function savePicture(camera: Camera, box: HTMLElement | null): void {
  const video = box?.querySelector('video');
  if (!video || !video.videoWidth) return;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d')?.drawImage(video, 0, 0);
  canvas.toBlob((blob) => {
    if (!blob) return;
    const a = document.createElement('a');
    a.href = URL.createObjectURL(blob);
    a.download = `${camera.id}_${new Date(serverNow()).toISOString().replaceAll(/[:.]/g, '-')}.jpg`;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
  }, 'image/jpeg', 0.92);
}

/* Pointers on the stage: one moves, two zoom, a double tap toggles. */
function useZoom(box: preact.RefObject<HTMLDivElement | null>): { zoom: Zoom; change: (factor: number) => void; move: (dx: number, dy: number) => void; reset: () => void } {
  const zoom = useSignal(NO_ZOOM);
  const size = (): [number, number] => [box.current?.clientWidth ?? 1, box.current?.clientHeight ?? 1];
  const change = (factor: number, x?: number, y?: number): void => {
    const [w, h] = size();
    zoom.value = zoomAt(zoom.value, factor, x ?? w / 2, y ?? h / 2, w, h);
  };
  const move = (dx: number, dy: number): void => {
    zoom.value = panBy(zoom.value, dx, dy, ...size());
  };
  useEffect(() => {
    const el = box.current;
    if (!el) return undefined;
    const down = new Map<number, { x: number; y: number }>();
    const at = (e: PointerEvent | MouseEvent): { x: number; y: number } => {
      const r = el.getBoundingClientRect();
      return { x: e.clientX - r.left, y: e.clientY - r.top };
    };
    const onDown = (e: PointerEvent): void => {
      if ((e.target as HTMLElement).closest('.btn')) return;
      down.set(e.pointerId, at(e));
      el.setPointerCapture(e.pointerId);
    };
    const onMove = (e: PointerEvent): void => {
      const before = down.get(e.pointerId);
      if (!before) return;
      const now = at(e);
      const other = [...down].find(([id]) => id !== e.pointerId)?.[1];
      if (other) {
        const was = Math.hypot(before.x - other.x, before.y - other.y);
        const is = Math.hypot(now.x - other.x, now.y - other.y);
        if (was > 1) change(is / was, (now.x + other.x) / 2, (now.y + other.y) / 2);
      } else if (zoom.value.scale > 1) {
        move(now.x - before.x, now.y - before.y);
      }
      down.set(e.pointerId, now);
    };
    const onUp = (e: PointerEvent): void => { down.delete(e.pointerId); };
    const onWheel = (e: WheelEvent): void => {
      e.preventDefault();
      const p = at(e);
      change(Math.exp(-e.deltaY / 400), p.x, p.y);
    };
    const onDouble = (e: MouseEvent): void => {
      if ((e.target as HTMLElement).closest('.btn')) return;
      const p = at(e);
      if (zoom.value.scale > 1) zoom.value = NO_ZOOM;
      else change(2.5, p.x, p.y);
    };
    el.addEventListener('pointerdown', onDown);
    el.addEventListener('pointermove', onMove);
    el.addEventListener('pointerup', onUp);
    el.addEventListener('pointercancel', onUp);
    el.addEventListener('wheel', onWheel, { passive: false });
    el.addEventListener('dblclick', onDouble);
    return () => {
      el.removeEventListener('pointerdown', onDown);
      el.removeEventListener('pointermove', onMove);
      el.removeEventListener('pointerup', onUp);
      el.removeEventListener('pointercancel', onUp);
      el.removeEventListener('wheel', onWheel);
      el.removeEventListener('dblclick', onDouble);
    };
  }, []);
  return { zoom: zoom.value, change, move, reset: () => { zoom.value = NO_ZOOM; } };
}

function Facts({ camera, stream }: { camera: Camera; stream: StreamKind }) {
  const parts = [
    stream === 'still' ? t('tile.stills') : stream === 'sub' ? t('solo.sub') : '',
    camera.width ? `${camera.width}×${camera.height}` : '',
    codecName(camera.codec),
    camera.fps ? `${number(camera.fps, 1)} fps` : '',
    camera.bitrate ? bitrate(camera.bitrate) : '',
  ];
  return <span class="dim num wide-only ellipsis">{parts.filter(Boolean).join(' · ')}</span>;
}

export function SoloView({ camera, poster }: { camera: Camera; poster: HTMLCanvasElement | null }) {
  const box = useRef<HTMLDivElement>(null);
  const stream = useSignal<StreamKind>('main');
  const note = useSignal('');
  const age = useSignal<number | null>(null);
  const late = useSignal(false); // without a picture for so long that it must be said
  const { zoom, change, move, reset } = useZoom(box);
  const none = age.value === null;
  useEffect(() => {
    late.value = false;
    if (!none) return undefined;
    const timer = setTimeout(() => { late.value = true; }, LATE);
    return () => clearTimeout(timer);
  }, [camera.id, none]);

  const list = arrange(cameras.value ?? [], setting<string[]>('wall.order', []));
  const here = list.findIndex((c) => c.id === camera.id);
  const neighbour = (by: number): string => href(['live', list[(here + by + list.length) % list.length]?.id ?? camera.id]);
  const past = href(['timeline'], { cam: camera.id, t: new Date(serverNow() - BACK).toISOString(), play: 1 });
  const full = (): void => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void box.current?.requestFullscreen?.().catch(() => undefined);
  };
  useKeys((e) => {
    if (e.key === 'Escape' && !document.fullscreenElement) go('#/live');
    else if (e.key === 'ArrowLeft') zoom.scale > 1 ? move(60, 0) : go(neighbour(-1));
    else if (e.key === 'ArrowRight') zoom.scale > 1 ? move(-60, 0) : go(neighbour(1));
    else if (e.key === 'ArrowUp' && zoom.scale > 1) move(0, 60);
    else if (e.key === 'ArrowDown' && zoom.scale > 1) move(0, -60);
    else if (e.key === '+' || e.key === '=') change(1.4);
    else if (e.key === '-') change(1 / 1.4);
    else if (e.key === '0') reset();
    else if (e.key === 'f') full();
    else if (e.key === 'b') go(past);
    else return false;
    return true;
  });
  return (
    <>
      <div class="bar">
        <Tool icon="back" label={t('solo.back')} keys="Esc" href="#/live" />
        <h1 class="ellipsis">{camera.name}</h1>
        {!camera.recording && camera.enabled && <span class="badge bad">{t('tile.notRecording')}</span>}
        <span class="grow" />
        <Facts camera={camera} stream={stream.value} />
      </div>
      {note.value && <p class="notice warn" role="status">{note.value}</p>}
      <div class="solo" ref={box}>
        <div class="stage" style={{ transform: `translate(${zoom.x}px,${zoom.y}px) scale(${zoom.scale})` }}>
          <div class="tile" data-camera={camera.id}>
            <LivePicture camera={camera} stream={stream.value} paused={!pageVisible.value} poster={poster}
              onAge={(a) => { age.value = a === null ? null : a > 2000 ? Math.floor(a / 1000) * 1000 : 0; }}
              onFallback={(from, why) => {
                stream.value = why === 'slow' && from === 'sub' ? 'still' : fallback(from, camera.has_sub);
                note.value = t(why === 'codec' ? 'solo.noCodec' : 'solo.slow');
              }} />
          </div>
        </div>
        {(late.value || camera.state === 'offline' || !camera.enabled) && <Middle camera={camera} age={age.value} />}
        {age.value !== null && age.value > 0 && (
          <span class="badge warn num" style="position:absolute;top:10px;left:10px">{t('tile.age', { age: duration(age.value) })}</span>
        )}
        <div class="solo-tools">
          <Tool icon="back" label={t('solo.prev')} keys="←" href={neighbour(-1)} />
          <Tool icon="minus" label={t('zoom.out')} keys="-" onClick={() => change(1 / 1.6)} disabled={zoom.scale <= 1} />
          <Tool icon="plus" label={t('zoom.in')} keys="+" onClick={() => change(1.6)} />
          <span class="wide-only"><Tool icon="timeline" label={t('solo.past')} keys="B" href={past} text /></span>
          <span class="narrow-only"><Tool icon="timeline" label={t('solo.past')} href={past} /></span>
          <Tool icon="photo" label={t('solo.photo')} onClick={() => savePicture(camera, box.current)} />
          <Tool icon="expand" label={t('solo.full')} keys="F" onClick={full} />
          <Tool icon="forward" label={t('solo.next')} keys="→" href={neighbour(1)} />
        </div>
      </div>
    </>
  );
}
