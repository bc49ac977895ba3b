/* paint.ts - the timeline's two canvases: the axis of time, and one row a camera. */
import type { Answer, CameraRow } from './data';
import { tickLabel, ticks, type View, xAt } from './scale';
import type { Zone } from '../time/zone';

export interface Colours {
  bg: string;
  line: string;
  dim: string;
  text: string;
  rec: string;
  recSoft: string;
  motion: string;
  event: string;
  lineEvent: string;
  danger: string;
  gapA: string;
  gapB: string;
}

export function readColours(): Colours {
  const s = getComputedStyle(document.documentElement);
  const v = (name: string): string => s.getPropertyValue(name).trim();
  return {
    bg: v('--bg'), line: v('--line'), dim: v('--dim'), text: v('--text'), rec: v('--rec'), recSoft: v('--rec-soft'),
    motion: v('--motion'), event: v('--event'), lineEvent: v('--line-event'), danger: v('--danger'),
    gapA: v('--gap-a'), gapB: v('--gap-b'),
  };
}

/** Fit CANVAS to its box; returns the context scaled to CSS pixels. */
export function prepare(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const dpr = Math.min(2, devicePixelRatio || 1);
  const w = Math.round(width * dpr);
  const h = Math.round(height * dpr);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const c = canvas.getContext('2d');
  c?.setTransform(dpr, 0, 0, dpr, 0, 0);
  return c;
}

export function paintAxis(c: CanvasRenderingContext2D, v: View, left: number, width: number, height: number,
                          zone: Zone, colours: Colours): void {
  c.clearRect(0, 0, left + width, height);
  c.font = '12px system-ui, sans-serif';
  c.textBaseline = 'middle';
  c.textAlign = 'center';
  for (const tick of ticks(v, width, zone, 62)) {
    const x = left + xAt(v, tick.t, width);
    if (x < left) continue;
    c.fillStyle = tick.major ? colours.text : colours.dim;
    c.fillText(tickLabel(tick.t, v.span, zone), x, height / 2 - 2);
    c.fillStyle = tick.major ? colours.dim : colours.line;
    c.fillRect(Math.round(x), height - 6, 1, 6);
  }
}

interface RowBox {
  y: number;
  height: number;
  width: number;
}

let hatch: { key: string; pattern: CanvasPattern } | null = null;

function gapPattern(c: CanvasRenderingContext2D, colours: Colours): CanvasPattern | string {
  const key = colours.gapA + colours.gapB;
  if (hatch?.key === key) return hatch.pattern;
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const t = tile.getContext('2d');
  if (!t) return colours.gapB;
  t.fillStyle = colours.gapA;
  t.fillRect(0, 0, 8, 8);
  t.strokeStyle = colours.gapB;
  t.lineWidth = 2.5;
  t.beginPath();
  for (const d of [-8, 0, 8]) {
    t.moveTo(d, 8);
    t.lineTo(d + 8, 0);
  }
  t.stroke();
  const pattern = c.createPattern(tile, 'repeat');
  if (!pattern) return colours.gapB;
  hatch = { key, pattern };
  return pattern;
}

/* Left and right edge in pixels of [FROM, TO), cut to the row; null outside. */
function edges(v: View, from: number, to: number, width: number, least = 1): [number, number] | null {
  const a = xAt(v, from, width);
  const b = xAt(v, to, width);
  if (b < 0 || a > width) return null;
  const left = Math.max(0, a);
  return [left, Math.max(Math.min(width, b), left + least)];
}

function paintHeat(c: CanvasRenderingContext2D, v: View, a: Answer, row: CameraRow, box: RowBox, colour: string): void {
  if (row.heat.length === 0) return;
  const step = (a.to - a.from) / row.heat.length;
  const first = Math.max(0, Math.floor((v.from - a.from) / step));
  const last = Math.min(row.heat.length - 1, Math.ceil((v.from + v.span - a.from) / step));
  const room = box.height - 12;
  const base = box.y + box.height - 5;
  const wide = Math.max(1, (step / v.span) * box.width);
  c.fillStyle = colour;
  for (let i = first; i <= last; i++) {
    const value = row.heat[i]!;
    if (value === 0) continue;
    const h = Math.max(2, Math.min(1, Math.sqrt(value / a.heatTop)) * room);
    c.fillRect(xAt(v, a.from + i * step, box.width), base - h, wide, h);
  }
}

function paintGaps(c: CanvasRenderingContext2D, v: View, row: CameraRow, box: RowBox, colours: Colours,
                   reason: (code: string) => string): void {
  for (const g of row.gaps) {
    const e = edges(v, g.from, g.to, box.width, 1.5);
    if (!e) continue;
    c.fillStyle = gapPattern(c, colours);
    c.fillRect(e[0], box.y + 2, e[1] - e[0], box.height - 4);
    if (e[1] - e[0] < 90) continue;
    c.fillStyle = colours.text;
    c.font = '11.5px system-ui, sans-serif';
    c.textAlign = 'left';
    c.textBaseline = 'middle';
    c.save();
    c.beginPath();
    c.rect(e[0], box.y, e[1] - e[0] - 4, box.height);
    c.clip();
    c.fillText(reason(g.reason), e[0] + 8, box.y + box.height / 2);
    c.restore();
  }
}

/* Motion events are bars, crossings are triangles, trouble with a camera is a diamond. */
function paintPins(c: CanvasRenderingContext2D, v: View, row: CameraRow, box: RowBox, colours: Colours): void {
  for (const p of row.pins) {
    const e = edges(v, p.start, p.end, box.width, 4);
    if (!e) continue;
    const y = box.y + 3;
    if (p.type.startsWith('camera-')) {
      c.fillStyle = colours.danger;
      diamond(c, e[0], y + 4);
    } else if (p.type === 'motion') {
      c.fillStyle = colours.event;
      c.beginPath();
      c.roundRect(e[0], y, e[1] - e[0], 5, 2.5);
      c.fill();
    } else {
      c.fillStyle = colours.lineEvent;
      c.beginPath();
      c.moveTo(e[0] - 4, y);
      c.lineTo(e[0] + 5, y);
      c.lineTo(e[0] + 0.5, y + 8);
      c.fill();
    }
  }
}

function diamond(c: CanvasRenderingContext2D, x: number, y: number): void {
  c.beginPath();
  c.moveTo(x, y - 5);
  c.lineTo(x + 5, y);
  c.lineTo(x, y + 5);
  c.lineTo(x - 5, y);
  c.fill();
}

export function paintRow(c: CanvasRenderingContext2D, v: View, a: Answer | null, id: string, box: RowBox,
                         colours: Colours, reason: (code: string) => string): void {
  c.fillStyle = colours.line;
  c.globalAlpha = 0.45;
  c.fillRect(0, box.y + box.height - 1, box.width, 1);
  c.globalAlpha = 1;
  const row = a?.rows.get(id);
  if (!a || !row) return;
  for (const s of row.spans) {
    const e = edges(v, s.from, s.to, box.width);
    if (!e) continue;
    c.fillStyle = colours.recSoft;
    c.fillRect(e[0], box.y + 2, e[1] - e[0], box.height - 4);
    c.fillStyle = colours.rec;
    c.fillRect(e[0], box.y + box.height - 5, e[1] - e[0], 3);
  }
  paintGaps(c, v, row, box, colours, reason);
  paintHeat(c, v, a, row, box, colours.motion);
  paintPins(c, v, row, box, colours);
}

/** Thin lines at the ticks through all rows, and the stretch that has not happened yet. */
export function paintGround(c: CanvasRenderingContext2D, v: View, width: number, height: number, now: number,
                            zone: Zone, colours: Colours): void {
  c.fillStyle = colours.line;
  c.globalAlpha = 0.5;
  for (const tick of ticks(v, width, zone, 62)) c.fillRect(Math.round(xAt(v, tick.t, width)), 0, 1, height);
  c.globalAlpha = 1;
  const x = xAt(v, now, width);
  if (x >= width) return;
  c.fillStyle = colours.bg;
  c.globalAlpha = 0.75;
  c.fillRect(Math.max(0, x), 0, width - Math.max(0, x), height);
  c.globalAlpha = 1;
  c.fillStyle = colours.dim;
  c.fillRect(Math.max(0, x), 0, 1, height);
}
