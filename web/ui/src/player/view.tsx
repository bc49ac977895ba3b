/* view.tsx - one recording on the stage: its picture, or in words why there is none. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { StreamName } from '../api/client';
import { duration, t, tCode, zone } from '../i18n';
import { Tool } from '../parts/basics';
import { cameraById, cameraName } from '../state/cameras';
import type { Deck } from './deck';
import { Scrubber } from './scrub';
import { Track, type TrackState } from './track';

interface ViewProps {
  deck: Deck;
  camera: string;
  stream: StreamName;
  /** Key frames only: see Deck.keysOnly. */
  keysOnly: boolean;
  /** The hand is on the play head there. */
  scrub: number | null;
  onRemove?: (() => void) | undefined;
  onCodec: () => void;
  /** Its picture does not come in a time that anybody waits. */
  onSlow: () => void;
}

const PATIENCE = 6000; // ms

interface Shown {
  state: TrackState;
  why: string;
}

function Cover({ shown, next, time, gap }: { shown: Shown; next: number | null | undefined; time: number; gap: string }) {
  if (shown.state === 'ready') return null;
  if (shown.state === 'loading') return <div class="center clear"><div class="spinner" role="status" aria-label={t('state.loading')} /></div>;
  if (shown.state === 'failed')
    return <div class="center"><div><strong>{t('player.failed')}</strong><p>{tCode('error', shown.why)}</p></div></div>;
  return (
    <div class="center">
      <div>
        <strong>{t('player.noVideo')}</strong>
        {gap && <p>{tCode('gap', gap)}</p>}
        {typeof next === 'number' && next > time && <p class="num">{t('player.goesOn', { time: zone.value.clock(next), wait: duration(next - time) })}</p>}
        {next === null && <p>{t('player.nothingAfter')}</p>}
      </div>
    </div>
  );
}

export function RecordingView({ deck, camera, stream, keysOnly, scrub, onRemove, onCodec, onSlow, gapReason }: ViewProps & { gapReason: (t: number) => string }) {
  const video = useRef<HTMLVideoElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const track = useRef<Track | null>(null);
  const scrubber = useRef<Scrubber | null>(null);
  const shown = useSignal<Shown>({ state: 'loading', why: '' });
  const scrubShown = useSignal(false);

  useEffect(() => {
    if (!video.current) return undefined;
    const mine = new Track(camera, stream, keysOnly, video.current, () => {
      shown.value = { state: mine.state, why: mine.why };
      if (mine.state === 'failed' && mine.why === 'codec') onCodec();
    });
    track.current = mine;
    return deck.attach(mine);
  }, [camera, stream, keysOnly]);

  const waiting = shown.value.state === 'loading';
  useEffect(() => {
    const timer = waiting ? setTimeout(onSlow, PATIENCE) : undefined;
    return () => clearTimeout(timer);
  }, [camera, stream, waiting]);

  useEffect(() => {
    const sub = cameraById.peek().get(camera)?.has_sub;
    scrubber.current = new Scrubber(camera, sub ? 'sub' : 'main', (picture, w, h) => {
      const c = canvas.current;
      if (!c || !w) return;
      c.width = w;
      c.height = h;
      c.getContext('2d')?.drawImage(picture, 0, 0);
      scrubShown.value = true;
    }, 500);
    return () => scrubber.current?.destroy();
  }, [camera]);

  useEffect(() => {
    if (scrub !== null) scrubber.current?.show(scrub);
    else scrubShown.value = false;
  }, [scrub]);

  const picturing = scrub !== null && scrubShown.value;
  return (
    <div class="tl-view" data-camera={camera} data-state={shown.value.state}>
      <video ref={video} muted playsInline aria-label={t('player.video', { name: cameraName(camera) })} tabIndex={-1} />
      <canvas ref={canvas} class={picturing ? '' : 'hidden'} />
      {!picturing && shown.value.state !== 'ready' && (
        <Cover shown={shown.value} next={track.current?.nextStart} time={deck.time.value} gap={gapReason(deck.time.value)} />
      )}
      <span class="label">
        <span class="badge">{cameraName(camera)}</span>
        {stream === 'sub' && <span class="badge">{t('player.sub')}</span>}
        {keysOnly && <span class="badge">{t('player.keysOnly')}</span>}
      </span>
      {onRemove && (
        <span class="remove over"><Tool icon="close" label={t('timeline.remove', { name: cameraName(camera) })} onClick={onRemove} /></span>
      )}
    </div>
  );
}
