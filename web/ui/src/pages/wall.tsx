/* wall.tsx - all cameras at once, live; `#/live/ID` is one camera, large. */
import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Camera } from '../api/client';
import { bitrate, bytes, t } from '../i18n';
import { receivedBytes, receivedRate, stillBytes } from '../live/connection';
import { Empty, Loading, Tool, useInterval, useKeys } from '../parts/basics';
import { Icon } from '../parts/icons';
import { LiveTile } from '../parts/live-tile';
import { go, href, route } from '../router';
import { cameraById, cameras } from '../state/cameras';
import { saveSetting, setting, atLeast } from '../state/session';
import { SoloView } from './solo';
import { useForward } from './use-forward';
import { arrange, type Fit, fit, LAYOUTS, moveBefore, moveBy, movingSet, patrolPage, stillPeriod, streamFor, tilesInSight, type WallMode } from './wall-layout';

const PATROL_PERIOD = 10_000;
const isPhone = (): boolean => matchMedia('(max-width: 719px)').matches;

/* Recomputes the size of the tiles when the room or their number changes. */
function useFit(n: number): { ref: preact.RefObject<HTMLDivElement | null>; fitted: Fit; inSight: number } {
  const ref = useRef<HTMLDivElement>(null);
  const fitted = useSignal<Fit>({ cols: 2, width: 0 });
  const room = useSignal(0);
  useLayoutEffect(() => {
    const el = ref.current;
    if (!el) return undefined;
    const measure = (): void => {
      const width = el.clientWidth - 24;
      const columns = n === 1 ? 1 : innerWidth > innerHeight ? 3 : 2;
      fitted.value = isPhone() ? { cols: columns, width } : fit(n, width, el.clientHeight - 4);
      room.value = el.clientHeight - 4;
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(el);
    return () => observer.disconnect();
  }, [n]);
  return { ref, fitted: fitted.value, inSight: tilesInSight(fitted.value, room.value) };
}

interface ArrangeProps {
  camera: Camera;
  ids: string[];
  onOrder: (ids: string[]) => void;
}

/* Drag a tile onto another, or use the arrows: both do the same. */
function ArrangeTile({ camera, ids, onOrder }: ArrangeProps) {
  const over = useSignal(false);
  const move = (steps: number): void => onOrder(moveBy(ids, camera.id, steps));
  return (
    <div class={`tile${over.value ? ' drop' : ''}`} draggable
      onDragStart={(e) => e.dataTransfer?.setData('text/plain', camera.id)}
      onDragOver={(e) => { e.preventDefault(); over.value = true; }}
      onDragLeave={() => { over.value = false; }}
      onDrop={(e) => {
        e.preventDefault();
        over.value = false;
        const id = e.dataTransfer?.getData('text/plain');
        if (id) onOrder(moveBefore(ids, id, camera.id));
      }}>
      <div class="center"><strong>{camera.name}</strong></div>
      <div class="arrange-tools over">
        <Tool icon="back" label={t('wall.earlier', { name: camera.name })} onClick={() => move(-1)} />
        <Tool icon="forward" label={t('wall.later', { name: camera.name })} onClick={() => move(1)} />
      </div>
    </div>
  );
}

function LayoutPicker({ value, onChange }: { value: number; onChange: (n: number) => void }) {
  return (
    <select aria-label={t('wall.layout')} value={String(value)} style="width:auto"
      onChange={(e) => onChange(Number((e.currentTarget as HTMLSelectElement).value))}>
      {LAYOUTS.map((n) => <option key={n} value={String(n)}>{n === 0 ? t('wall.all') : t('wall.tiles', { n })}</option>)}
    </select>
  );
}

function ModePicker({ value, onChange }: { value: WallMode; onChange: (m: WallMode) => void }) {
  return (
    <select aria-label={t('wall.mode')} value={value} style="width:auto"
      onChange={(e) => onChange((e.currentTarget as HTMLSelectElement).value as WallMode)}>
      {(['auto', 'live', 'still'] as const).map((m) => <option key={m} value={m}>{t(`wall.mode.${m}`)}</option>)}
    </select>
  );
}

function Footer() {
  return (
    <div class="wall-foot num">
      <span>{t('wall.data', { rate: bitrate(receivedRate.value), total: bytes(receivedBytes.value) })}</span>
      <span class="wide-only">{t('wall.keys')}</span>
    </div>
  );
}

function Wall({ list }: { list: Camera[] }) {
  const mode = useSignal<WallMode>(setting<WallMode>('wall.mode', 'auto'));
  const layout = useSignal(setting('wall.layout', 0));
  const pageNumber = useSignal(0);
  const patrol = useSignal(false);
  const step = useSignal(0);
  const arranging = useSignal(false);
  const forward = useSignal(setting('wall.forward', true));
  const order = useSignal(setting<string[]>('wall.order', []));
  const moving = useRef<ReadonlySet<string>>(new Set());
  const inSight = useSignal<ReadonlySet<string>>(new Set());
  const onSight = (id: string, on: boolean): void => {
    const next = new Set(inSight.peek());
    if (on) next.add(id);
    else next.delete(id);
    inSight.value = next;
  };

  const arranged = arrange(list, order.value);
  const phone = isPhone();
  const tiles = phone ? 0 : layout.value; // chosen where there is room for it; phones scroll
  const size = tiles || arranged.length;
  const pages = Math.max(1, Math.ceil(arranged.length / size));
  const first = Math.min(pageNumber.value, pages - 1) * size;
  const { ref, fitted, inSight: room } = useFit(patrol.value ? Math.min(tiles || 4, arranged.length) : Math.min(size, arranged.length - first));
  const { list: sorted, guests } = useForward(arranged, Math.min(size, room), forward.value && !arranging.value,
    patrol.value || first > 0, ref);
  const shown = patrol.value ? patrolPage(sorted, tiles || 4, step.value) : sorted.slice(first, first + size);
  moving.current = movingSet(shown, moving.current);
  const stills = shown.filter((c) => inSight.value.has(c.id) && streamFor(c, mode.value, phone, moving.current) === 'still').length;
  const every = phone ? stillPeriod(stills || Math.min(shown.length, 12), stillBytes.value) : 2;

  useInterval(() => patrol.value && step.value++, PATROL_PERIOD);
  const open = (camera: Camera): void => go(href(['live', camera.id]));
  const choose = (n: number): void => {
    layout.value = n;
    pageNumber.value = 0;
    saveSetting('wall.layout', n);
  };
  const turn = (by: number): void => {
    pageNumber.value = (Math.min(pageNumber.value, pages - 1) + by + pages) % pages;
  };
  const setForward = (on: boolean): void => {
    forward.value = on;
    saveSetting('wall.forward', on);
  };
  useKeys((e) => {
    const n = Number(e.key);
    if (n >= 1 && n <= 9 && shown[n - 1]) open(shown[n - 1]!);
    else if (e.key === 'p') patrol.value = !patrol.value;
    else if (e.key === 'a') setForward(!forward.value);
    else if (e.key === 'PageDown' && pages > 1) turn(1);
    else if (e.key === 'PageUp' && pages > 1) turn(-1);
    else return false;
    return true;
  });
  const setOrder = (ids: string[]): void => {
    order.value = ids;
    saveSetting('wall.order', ids);
  };
  return (
    <>
      <div class="bar">
        <h1 class="grow ellipsis narrow-sr">{t('nav.live')}</h1>
        <span class="grow narrow-only" />
        {pages > 1 && !patrol.value && (
          <span class="row num">
            <Tool icon="back" label={t('wall.prevPage')} keys="PageUp" onClick={() => turn(-1)} />
            {first / size + 1}/{pages}
            <Tool icon="forward" label={t('wall.nextPage')} keys="PageDown" onClick={() => turn(1)} />
          </span>
        )}
        <span class="wide-only"><LayoutPicker value={layout.value} onChange={choose} /></span>
        <ModePicker value={mode.value} onChange={(m) => { mode.value = m; saveSetting('wall.mode', m); }} />
        <Tool icon="up" label={t('wall.forward')} keys="A" pressed={forward.value} onClick={() => setForward(!forward.value)} />
        <Tool icon="walk" label={t('wall.patrol')} keys="P" pressed={patrol.value} onClick={() => { patrol.value = !patrol.value; }} />
        <Tool icon="move" label={t('wall.arrange')} pressed={arranging.value} onClick={() => { arranging.value = !arranging.value; }} />
      </div>
      {arranging.value && <p class="notice warn" role="status">{t('wall.arrangeHint')}</p>}
      <div class="wall" ref={ref}>
        {!arranging.value && <Elsewhere list={sorted.filter((c) => c.motion && c.enabled && !inSight.value.has(c.id))} />}
        <div class="tiles" style={{ '--cols': fitted.cols, width: fitted.width ? `${fitted.width}px` : undefined }}>
          {shown.map((c, i) => arranging.value
            ? <ArrangeTile key={c.id} camera={c} ids={arranged.map((x) => x.id)} onOrder={setOrder} />
            : <LiveTile key={c.id} camera={c} index={i} guest={guests.has(c.id)} every={every} onSight={onSight} stream={streamFor(c, mode.value, phone, moving.current)}
                onOpen={(poster) => { lastPoster = poster && { id: c.id, canvas: poster }; open(c); }} />)}
        </div>
      </div>
      <Footer />
    </>
  );
}

/* Where something moves that is not in sight: one tap away. */
function Elsewhere({ list }: { list: Camera[] }) {
  if (list.length === 0) return null;
  return (
    <nav class="elsewhere" aria-label={t('wall.elsewhere')}>
      {list.slice(0, 6).map((c) => (
        <a key={c.id} class="btn" href={href(['live', c.id])}><i class="dot motion" /><span class="ellipsis">{c.name}</span></a>
      ))}
      {list.length > 6 && <span class="badge num">+{list.length - 6}</span>}
    </nav>
  );
}

let lastPoster: { id: string; canvas: HTMLCanvasElement } | null = null;

function NoCameras() {
  return (
    <Empty icon="camera" title={t('wall.none')}>
      <p>{t(atLeast('admin') ? 'wall.noneAdmin' : 'wall.noneOther')}</p>
      {atLeast('admin') && <a class="btn primary" href="#/admin/cameras/new"><Icon name="plus" />{t('cameras.add')}</a>}
    </Empty>
  );
}

export function WallPage() {
  const list = cameras.value;
  const id = route.value.path[1];
  useEffect(() => () => { lastPoster = null; }, []);
  if (list === null) return <Loading />;
  if (id !== undefined) {
    const camera = cameraById.value.get(id);
    const poster = lastPoster?.id === id ? lastPoster.canvas : null;
    return camera ? <SoloView key={id} camera={camera} poster={poster} />
      : <Empty icon="camera" title={t('camera.unknown')}><a class="btn" href="#/live">{t('nav.live')}</a></Empty>;
  }
  return list.length === 0 ? <NoCameras /> : <Wall list={list} />;
}
