/*
 * copy-board.tsx - one camera's picture at a moment of the incident, and the rectangles over it that a copy
 * covers: dragged, moved by keys, or typed.
 */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { api, type StreamName } from '../api/client';
import { type Key, t, zone } from '../i18n';
import { Field, Tool } from '../parts/basics';
import { Handles } from '../parts/handles';
import { Icon } from '../parts/icons';
import { Scrubber } from '../player/scrub';
import { cameraById, cameraName } from '../state/cameras';
import { between, corners, holds, type Mask, moveCorner, type Side, typeSide } from './copy-masks';
import { place, type Point } from './rules';

const FIRST: Mask = { x: 0.35, y: 0.35, w: 0.3, h: 0.3 };
const SIDES: [Side, Key][] = [['x', 'viewing.x'], ['y', 'viewing.y'], ['w', 'viewing.w'], ['h', 'viewing.h']];
const TOO_SMALL = 0.02; // a tap, not a rectangle

interface BoardProps {
  camera: string;
  from: number; // the incident's span, ms UTC
  to: number;
  masks: Mask[];
  full: boolean; // no more of them may be added
  onChange: (m: Mask[]) => void;
}

function Sides({ mask, onChange }: { mask: Mask; onChange: (m: Mask) => void }) {
  return (
    <div class="sides">
      {SIDES.map(([side, label]) => (
        <Field key={side} label={t(label)}>{(id) => (
          <input id={id} class="num" type="number" min={0} max={100} step="any" inputMode="decimal" value={String(Math.round(mask[side] * 1000) / 10)}
            onChange={(e) => { // what was pushed into bounds is shown as it is now
              const field = e.currentTarget as HTMLInputElement;
              const next = typeSide(mask, side, field.value);
              field.value = String(Math.round(next[side] * 1000) / 10);
              onChange(next);
            }} />
        )}</Field>
      ))}
    </div>
  );
}

interface MomentProps {
  camera: string;
  from: number;
  to: number;
  at: number;
  onNone: () => void;
}

/* The recorded picture at AT. Where the in-point was not recorded, or not in a form that this browser shows, the
 * middle and then the sub-stream are tried. */
function Moment({ camera, from, to, at, onNone }: MomentProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const show = useRef<(t: number) => void>(() => undefined);
  useEffect(() => {
    const ways: [StreamName, number][] = [['main', from], ['main', (from + to) / 2], ['sub', from], ['sub', (from + to) / 2]];
    let shown = false;
    let scrubber: Scrubber | null = null;
    const next = (): void => {
      const way = shown ? undefined : ways.shift();
      if (!way) { if (!shown) onNone(); return; }
      scrubber?.destroy();
      scrubber = new Scrubber(camera, way[0], (picture, width, height) => {
        const c = canvas.current;
        if (!c) return;
        [c.width, c.height, shown] = [width, height, true];
        c.getContext('2d')?.drawImage(picture, 0, 0);
      }, 500, next);
      scrubber.show(way[1]);
    };
    show.current = (t) => scrubber?.show(t);
    next();
    return () => scrubber?.destroy();
  }, [camera, from, to]);
  useEffect(() => { if (at !== from) show.current(at); }, [at]);
  return <canvas ref={canvas} />;
}

export function CopyBoard({ camera, from, to, masks, full, onChange }: BoardProps) {
  const chosen = useSignal(0);
  const drawing = useSignal<[Point, Point] | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const at = useSignal(from);
  const unrecorded = useSignal(false);
  const picture = Boolean(cameraById.value.get(camera)?.picture);
  const toPoint = (e: PointerEvent): Point => {
    const r = box.current!.getBoundingClientRect();
    return place((e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height);
  };
  const put = (m: Mask): void => onChange(masks.map((x, i) => (i === chosen.value ? m : x)));
  const add = (m: Mask): void => {
    chosen.value = masks.length;
    onChange([...masks, m]);
  };
  const remove = (): void => {
    onChange(masks.filter((_, i) => i !== chosen.value));
    chosen.value = 0;
  };
  const down = (e: PointerEvent): void => {
    const p = toPoint(e);
    const hit = masks.findIndex((m) => holds(m, p));
    if (hit >= 0) chosen.value = hit;
    if (hit >= 0 || full) return;
    drawing.value = [p, p];
    box.current?.setPointerCapture(e.pointerId);
  };
  const up = (): void => {
    const d = drawing.value;
    drawing.value = null;
    if (d && Math.abs(d[0][0] - d[1][0]) > TOO_SMALL && Math.abs(d[0][1] - d[1][1]) > TOO_SMALL) add(between(d[0], d[1]));
  };
  const active = masks[chosen.value];
  const shown = drawing.value ? [...masks, between(...drawing.value)] : masks;
  return (
    <>
      <div class="draw masks" ref={box} onPointerDown={down} onPointerUp={up} onPointerCancel={() => { drawing.value = null; }}
        onPointerMove={(e) => { if (drawing.value) drawing.value = [drawing.value[0], toPoint(e)]; }}>
        {!unrecorded.value ? <Moment camera={camera} from={from} to={to} at={at.value} onNone={() => { unrecorded.value = true; }} />
          : picture ? <img src={api.snapshotUrl(camera, Math.floor(Date.now() / 30_000))} alt="" draggable={false} />
            : <p class="no-picture">{t('viewing.noPicture')}</p>}
        <svg viewBox="0 0 1600 900" preserveAspectRatio="none" aria-hidden="true">
          {shown.map((m, i) => <rect key={i} x={m.x * 1600} y={m.y * 900} width={m.w * 1600} height={m.h * 900} fill="#000" fill-opacity={i === chosen.value ? 0.72 : 0.9}
            stroke={i === chosen.value ? '#4cc2a8' : '#fff'} stroke-width="4" />)}
        </svg>
        {active && !drawing.value && <Handles points={corners(active)} label={(i) => t(i === 0 ? 'viewing.topLeft' : 'viewing.bottomRight')} toPoint={toPoint}
          onMove={(i, p) => put(moveCorner(active, i, p))} onDelete={remove} />}
      </div>
      {unrecorded.value ? <p class="dim">{t('viewing.today')}</p> : (
        <label class="moment"><span>{t('viewing.moment')}</span>
          <input type="range" min={from} max={to} step={500} value={at.value} aria-valuetext={zone.value.full(at.value)}
            onInput={(e) => { at.value = Number((e.currentTarget as HTMLInputElement).value); }} />
          <span class="num">{zone.value.full(at.value)}</span></label>
      )}
      <div class="row" role="group" aria-label={`${t('viewing.boxes')}: ${cameraName(camera)}`} style="margin-top:10px">
        {masks.map((_, i) => <button key={i} type="button" class="btn" aria-pressed={i === chosen.value} onClick={() => { chosen.value = i; }}>{t('viewing.box', { n: i + 1 })}</button>)}
        <button type="button" class="btn" disabled={full} onClick={() => add(FIRST)}><Icon name="plus" size={18} />{t('viewing.add')}</button>
        {active && <Tool icon="trash" label={`${t('action.delete')}: ${t('viewing.box', { n: chosen.value + 1 })}`} onClick={remove} />}
      </div>
      {active && <Sides mask={active} onChange={put} />}
    </>
  );
}
