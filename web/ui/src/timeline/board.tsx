/*
 * board.tsx - axis and rows of the timeline, and every way to move in it: drag, wheel, two
 * fingers, keys on the play head. What dragging does, buttons and fields of the page do too.
 */
import { useComputed, useSignal, type Signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Camera } from '../api/client';
import { t, tCode, zone } from '../i18n';
import { Icon } from '../parts/icons';
import { themeTick } from '../state/theme';
import { serverNow } from '../time/server-clock';
import type { TimelineData } from './data';
import { paintAxis, paintGround, paintRow, prepare, readColours } from './paint';
import { limit, pan, pinch, timeAt, type View, xAt, zoom } from './scale';
import { type Hover, Tip } from './tip';

export interface Marks {
  from: number | null;
  to: number | null;
}

export interface BoardProps {
  cameras: Camera[];
  data: TimelineData;
  view: Signal<View>;
  time: Signal<number>;
  marks: Signal<Marks>;
  selected: Signal<string[]>;
  onSeek: (t: number, camera: string | null) => void;
  /** The hand is on the play head: T while it is, null when it lets go. */
  onScrub: (t: number | null) => void;
  onShow: (camera: string) => void;
  onToggle: (camera: string) => void;
}

const TAP = 6; // pixels: less is a tap

interface Drag {
  id: number;
  x: number;
  y: number;
  startX: number;
  startY: number;
  view: View;
  moved: boolean;
}

/* Measures of the page in pixels: phones get taller rows and narrower labels. */
function measures(): { row: number; labels: number } {
  return matchMedia('(max-width: 719px)').matches ? { row: 44, labels: 118 } : { row: 34, labels: 168 };
}

export function Board(props: BoardProps) {
  const { cameras, data, view, time, marks, selected } = props;
  const box = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const rows = useRef<HTMLCanvasElement>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const size = useSignal({ width: 1, visible: 1 });
  const hover = useSignal<Hover | null>(null);
  const grabbed = useSignal(false);
  const m = measures();
  const total = cameras.length * m.row;

  useEffect(() => {
    const el = scroll.current;
    if (!el) return undefined;
    const measure = (): void => {
      size.value = { width: Math.max(1, el.clientWidth - m.labels), visible: el.clientHeight };
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(el);
    return () => observer.disconnect();
  }, []);

  // The row of the camera that is shown, when one comes from an event or a link: forty do not fit.
  const shown = selected.value[0];
  useEffect(() => {
    const el = scroll.current;
    const at = cameras.findIndex((c) => c.id === shown) * m.row;
    if (el && at >= 0 && (at < el.scrollTop || at + m.row > el.scrollTop + el.clientHeight)) el.scrollTop = at - (el.clientHeight - m.row) / 2;
  }, [shown, cameras.length]);

  usePainter({ cameras, data, view, size, axis, rows, scroll, row: m.row, labels: m.labels, total });
  useGestures({ ...props, size, axis, rows, hover, labels: m.labels, row: m.row });

  const headX = useComputed(() => m.labels + xAt(view.value, time.value, size.value.width));
  const headShown = useComputed(() => headX.value >= m.labels - 1 && headX.value <= m.labels + size.value.width + 1);
  const head = (e: PointerEvent): void => {
    const el = e.currentTarget as HTMLElement;
    const at = (): number => {
      const r = box.current!.getBoundingClientRect();
      return Math.min(serverNow(), timeAt(view.value, lastX - r.left - m.labels, size.value.width));
    };
    let lastX = e.clientX;
    e.preventDefault();
    el.setPointerCapture(e.pointerId);
    grabbed.value = true;
    const move = (ev: PointerEvent): void => {
      lastX = ev.clientX;
      props.onScrub(at());
    };
    const up = (): void => {
      el.removeEventListener('pointermove', move);
      grabbed.value = false;
      props.onScrub(null);
    };
    el.addEventListener('pointermove', move);
    el.addEventListener('pointerup', up, { once: true });
    el.addEventListener('pointercancel', up, { once: true });
  };
  const edge = (v: number): number => m.labels + Math.max(0, Math.min(size.value.width, xAt(view.value, v, size.value.width)));
  const range = marks.value.from !== null ? { a: marks.value.from, b: marks.value.to ?? time.value } : null;

  return (
    <div class="tl-box" ref={box} style={{ '--labels': `${m.labels}px`, '--row': `${m.row}px` }}>
      <canvas class="tl-axis" ref={axis} aria-hidden="true" />
      {headShown.value && (
        <div class="tl-handle" style={{ transform: `translateX(${headX.value}px)` }} onPointerDown={head} aria-hidden="true">
          <span>{zone.value.clock(time.value)}</span>
        </div>
      )}
      <div class="tl-scroll" ref={scroll} tabIndex={0} role="group" aria-label={t('timeline.board')}>
        <div class="tl-rows" style={{ height: `${total}px` }}>
          <div class="tl-labels">
            {cameras.map((c) => {
              const on = selected.value.includes(c.id);
              return (
                <div key={c.id} class={`tl-label${on ? ' on' : ''}`}>
                  <button type="button" class="pick ellipsis" aria-pressed={on} title={c.name} onClick={() => props.onShow(c.id)}>{c.name}</button>
                  <button type="button" class="add" aria-pressed={on} title={t(on ? 'timeline.remove' : 'timeline.add', { name: c.name })}
                    aria-label={t(on ? 'timeline.remove' : 'timeline.add', { name: c.name })}
                    onClick={() => props.onToggle(c.id)}><Icon name={on ? 'check' : 'plus'} size={16} /></button>
                </div>
              );
            })}
          </div>
          <div class="tl-canvas-wrap"><canvas class="tl-canvas" ref={rows} aria-hidden="true" /></div>
        </div>
      </div>
      {range && range.b > range.a && (
        <div class="tl-mark" style={{ left: `${edge(range.a)}px`, width: `${Math.max(2, edge(range.b) - edge(range.a))}px`, top: '30px' }} />
      )}
      {headShown.value && <div class={`tl-head${grabbed.value ? ' on' : ''}`} style={{ transform: `translateX(${headX.value}px)` }} />}
      {hover.value && <Tip hover={hover.value} />}
      <p class="sr" role="status">{grabbed.value ? '' : tCode('timeline', 'sr')}</p>
    </div>
  );
}

interface PainterProps {
  cameras: Camera[];
  data: TimelineData;
  view: Signal<View>;
  size: Signal<{ width: number; visible: number }>;
  axis: preact.RefObject<HTMLCanvasElement | null>;
  rows: preact.RefObject<HTMLCanvasElement | null>;
  scroll: preact.RefObject<HTMLDivElement | null>;
  row: number;
  labels: number;
  total: number;
}

/* Paints at most once a frame, and only the rows that can be seen. */
function usePainter(p: PainterProps): void {
  useEffect(() => {
    let frame = 0;
    let colours = readColours();
    const reason = (code: string): string => tCode('gap', code);
    const paint = (): void => {
      frame = 0;
      const v = p.view.peek();
      const { width } = p.size.peek();
      const z = zone.peek();
      const a = p.axis.current && prepare(p.axis.current, width + p.labels, 30);
      if (a) paintAxis(a, v, p.labels, width, 30, z, colours);
      const c = p.rows.current && prepare(p.rows.current, width, Math.max(1, p.total));
      if (!c) return;
      const top = p.scroll.current?.scrollTop ?? 0;
      const first = Math.max(0, Math.floor(top / p.row) - 1);
      const last = Math.min(p.cameras.length, Math.ceil((top + p.size.peek().visible) / p.row) + 1);
      c.clearRect(0, first * p.row, width, (last - first) * p.row);
      const answer = p.data.best(v);
      for (let i = first; i < last; i++)
        paintRow(c, v, answer, p.cameras[i]!.id, { y: i * p.row, height: p.row, width }, colours, reason);
      paintGround(c, v, width, p.total, serverNow(), z, colours);
    };
    const later = (): void => {
      if (!frame) frame = requestAnimationFrame(paint);
    };
    const stops = [
      p.view.subscribe((v) => { p.data.want(v); later(); }),
      p.size.subscribe(later), p.data.tick.subscribe(later), zone.subscribe(later),
      themeTick.subscribe(() => { colours = readColours(); later(); }),
    ];
    const el = p.scroll.current;
    el?.addEventListener('scroll', later, { passive: true });
    const refresh = setInterval(() => { p.data.want(p.view.peek()); later(); }, 2000);
    return () => {
      stops.forEach((s) => s());
      el?.removeEventListener('scroll', later);
      clearInterval(refresh);
      cancelAnimationFrame(frame);
    };
  }, [p.cameras, p.total]);
}

interface GestureProps extends BoardProps {
  size: Signal<{ width: number; visible: number }>;
  axis: preact.RefObject<HTMLCanvasElement | null>;
  rows: preact.RefObject<HTMLCanvasElement | null>;
  hover: Signal<Hover | null>;
  labels: number;
  row: number;
}

function useGestures(p: GestureProps): void {
  const props = useRef(p);
  props.current = p;
  useEffect(() => {
    const elements = [p.axis.current, p.rows.current].filter((e): e is HTMLCanvasElement => e !== null);
    const drags = new Map<number, Drag>();
    const now = (): GestureProps => props.current;
    const set = (v: View): void => {
      now().view.value = limit(v, serverNow() - 400 * 86_400_000, serverNow());
    };
    const local = (e: { clientX: number; clientY: number; currentTarget: EventTarget | null }): [number, number] => {
      const el = e.currentTarget as HTMLElement;
      const r = el.getBoundingClientRect();
      return [e.clientX - r.left - (el === p.axis.current ? p.labels : 0), e.clientY - r.top];
    };
    const cameraAt = (el: EventTarget | null, y: number): string | null =>
      el === p.rows.current ? now().cameras[Math.floor(y / p.row)]?.id ?? null : null;

    const onDown = (e: PointerEvent): void => {
      if (e.button !== 0) return;
      const [x, y] = local(e);
      drags.set(e.pointerId, { id: e.pointerId, x, y, startX: x, startY: y, view: now().view.peek(), moved: false });
      if (e.pointerType === 'mouse') (e.currentTarget as HTMLElement).setPointerCapture(e.pointerId);
      now().hover.value = null;
    };
    const onMove = (e: PointerEvent): void => {
      const [x, y] = local(e);
      const d = drags.get(e.pointerId);
      if (!d) {
        if (e.pointerType === 'mouse') showHover(e, x, y);
        return;
      }
      const width = now().size.peek().width;
      const other = [...drags.values()].find((o) => o.id !== d.id);
      if (Math.hypot(x - d.startX, y - d.startY) > TAP) d.moved = true;
      if (other) {
        other.moved = d.moved = true;
        const v = now().view.peek();
        set(pinch(v, timeAt(v, d.x, width), timeAt(v, other.x, width), x, other.x, width));
      } else if (d.moved) {
        set(pan(now().view.peek(), ((d.x - x) / width) * now().view.peek().span));
      }
      d.x = x;
      d.y = y;
    };
    const onUp = (e: PointerEvent): void => {
      const d = drags.get(e.pointerId);
      drags.delete(e.pointerId);
      if (!d || d.moved || e.type === 'pointercancel') return;
      const [x, y] = local(e);
      now().onSeek(Math.min(serverNow(), timeAt(now().view.peek(), x, now().size.peek().width)), cameraAt(e.currentTarget, y));
    };
    const onWheel = (e: WheelEvent): void => {
      const width = now().size.peek().width;
      if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
        e.preventDefault();
        set(pan(now().view.peek(), ((e.deltaX || e.deltaY) / width) * now().view.peek().span));
        return;
      }
      e.preventDefault();
      const [x] = local(e);
      const v = now().view.peek();
      set(zoom(v, Math.exp(e.deltaY / 350), timeAt(v, x, width)));
    };
    const showHover = (e: PointerEvent, x: number, y: number): void => {
      const camera = cameraAt(e.currentTarget, y);
      const q = now();
      const v = q.view.peek();
      const at = timeAt(v, x, q.size.peek().width);
      if (x < 0 || at > serverNow()) {
        q.hover.value = null;
        return;
      }
      const box = p.rows.current!.closest('.tl-box')!.getBoundingClientRect();
      q.hover.value = {
        t: at, camera, x: e.clientX - box.left, y: e.clientY - box.top, width: box.width,
        row: camera ? q.data.row(v, camera) : null, near: (6 / q.size.peek().width) * v.span,
      };
    };
    const onLeave = (): void => { now().hover.value = null; };
    for (const el of elements) {
      el.addEventListener('pointerdown', onDown);
      el.addEventListener('pointermove', onMove);
      el.addEventListener('pointerup', onUp);
      el.addEventListener('pointercancel', onUp);
      el.addEventListener('pointerleave', onLeave);
      el.addEventListener('wheel', onWheel, { passive: false });
    }
    return () => {
      for (const el of elements) {
        el.removeEventListener('pointerdown', onDown);
        el.removeEventListener('pointermove', onMove);
        el.removeEventListener('pointerup', onUp);
        el.removeEventListener('pointercancel', onUp);
        el.removeEventListener('pointerleave', onLeave);
        el.removeEventListener('wheel', onWheel);
      }
    };
  }, []);
}
