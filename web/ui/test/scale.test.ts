import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestAnswer, decodeHeat, toAnswer, type Answer, heatTop } from '../src/timeline/data';
import { covers, limit, MAX_SPAN, MIN_SPAN, nextStop, pinch, queryFor, spanParts, tickLabel, ticks, timeAt, xAt, zoom, type View } from '../src/timeline/scale';
import { DAY, HOUR, MINUTE, Zone } from '../src/time/zone';

const wib = new Zone('Asia/Jakarta', 'id');
const T = Date.parse('2026-11-24T07:30:00Z');
const view = (span: number): View => ({ from: T - span, span });

test('pixels and times map onto each other', () => {
  const v = view(HOUR);
  assert.equal(timeAt(v, 0, 800), v.from);
  assert.equal(timeAt(v, 800, 800), T);
  assert.equal(xAt(v, T - HOUR / 2, 800), 400);
});

test('zooming keeps the anchor in its place, within 10 s and 30 days', () => {
  const v = view(HOUR);
  const anchor = v.from + HOUR * 0.3;
  for (const f of [0.5, 2, 1e-9, 1e9]) {
    const z = zoom(v, f, anchor);
    assert.ok(Math.abs(xAt(z, anchor, 1000) - 300) < 1e-3, String(f));
    assert.ok(z.span >= MIN_SPAN && z.span <= MAX_SPAN);
  }
  assert.equal(zoom(v, 1e9, anchor).span, MAX_SPAN);
});

test('two fingers keep the times under them', () => {
  const v = view(HOUR);
  const a = timeAt(v, 200, 1000);
  const b = timeAt(v, 600, 1000);
  const p = pinch(v, a, b, 100, 900, 1000);
  assert.ok(Math.abs(xAt(p, a, 1000) - 100) < 1e-6);
  assert.ok(Math.abs(xAt(p, b, 1000) - 900) < 1e-6);
  assert.equal(pinch(v, a, b, 300, 300, 1000), v);
});

test('the window cannot be lost in the future or before the first recording', () => {
  const now = T;
  assert.equal(limit({ from: T + DAY, span: HOUR }, T - DAY, now).from, T - HOUR / 2);
  assert.equal(limit({ from: T - 9 * DAY, span: HOUR }, T - DAY, now).from, T - DAY - HOUR / 2);
  const fine = view(HOUR);
  assert.equal(limit(fine, T - DAY, now), fine);
});

test('ticks stand at round times of the site’s clock, far enough apart', () => {
  for (const span of [MIN_SPAN, MINUTE, 17 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, MAX_SPAN]) {
    const v = view(span);
    const list = ticks(v, 1000, wib, 70);
    assert.ok(list.length >= 2 && list.length <= 15, `${span}: ${list.length}`);
    for (let i = 1; i < list.length; i++)
      assert.ok(xAt(v, list[i]!.t, 1000) - xAt(v, list[i - 1]!.t, 1000) >= 69.9);
    for (const x of list) assert.ok(x.t >= v.from && x.t <= v.from + span);
  }
  const days = ticks(view(7 * DAY), 1000, wib);
  assert.ok(days.every((d) => wib.civil(d.t).minute === 0));
  assert.ok(days.some((d) => wib.startOfDay(d.t) === d.t && d.major));
});

test('labels: dates at midnight, seconds only when close', () => {
  assert.equal(tickLabel(wib.startOfDay(T), DAY, wib), 'Sel, 24 Nov');
  assert.equal(tickLabel(T, DAY, wib), '14.30');
  assert.equal(tickLabel(T, MINUTE, wib), '14.30.00');
});

test('zoom stops lead from 30 days to 10 s and back', () => {
  let span = MAX_SPAN;
  let steps = 0;
  while (span > MIN_SPAN && steps++ < 20) span = nextStop(span, true);
  assert.equal(span, MIN_SPAN);
  assert.equal(steps, 7);
  while (span < MAX_SPAN && steps++ < 40) span = nextStop(span, false);
  assert.equal(span, MAX_SPAN);
  assert.deepEqual(spanParts(HOUR), { n: 60, unit: 'minute' });
  assert.deepEqual(spanParts(DAY), { n: 24, unit: 'hour' });
});

test('what is asked covers the window, stays the same for small movements, and is bounded', () => {
  for (const span of [MIN_SPAN, 90_000, HOUR, 5 * HOUR, DAY, MAX_SPAN]) {
    const v = view(span);
    const q = queryFor(v);
    assert.ok(q.from <= v.from && q.to >= v.from + v.span);
    assert.ok(q.buckets >= 1 && q.buckets <= 4096);
    assert.ok(covers(q, v), `covers ${span}`);
    const moved = queryFor({ from: v.from + 0.001 * span, span });
    const same = moved.from === q.from && moved.to === q.to;
    assert.ok(same || moved.from === q.to - 2 * (q.to - q.from) / 3 || covers(q, { from: v.from + 0.001 * span, span }));
  }
});

const answer = (from: number, to: number, buckets: number, at = 0): Answer =>
  ({ query: { from, to, buckets }, from, to, buckets, at, rows: new Map(), heatTop: 255 });

test('the answer that fits best is drawn; a coarse one beats none', () => {
  const v = view(HOUR);
  const q = queryFor(v);
  const fitting = answer(q.from, q.to, q.buckets);
  const coarse = answer(T - 30 * DAY, T, 720);
  const elsewhere = answer(T - 9 * DAY, T - 8 * DAY, 512);
  assert.equal(bestAnswer([coarse, fitting, elsewhere], v), fitting);
  assert.equal(bestAnswer([coarse, elsewhere], v), coarse);
  assert.equal(bestAnswer([elsewhere], v), null);
});

test('an answer of the server is decoded', () => {
  const row = { id: 'a', oldest: null, events_total: 1, heat: btoa('\x00\xff'),
    spans: [{ from: '2026-11-24T07:00:00.000Z', to: '2026-11-24T07:30:00.000Z' }],
    gaps: [{ from: '2026-11-24T06:00:00.000Z', to: '2026-11-24T07:00:00.000Z', reason: 'restart' }],
    events: [{ id: 7, type: 'motion', start: '2026-11-24T07:10:00.000Z', end: null }] };
  const a = toAnswer({ from: 0, to: 1, buckets: 2 }, { from: '2026-11-24T06:00:00.000Z', to: '2026-11-24T08:00:00.000Z', buckets: 2, cameras: [row] }, T);
  const r = a.rows.get('a')!;
  assert.deepEqual([...r.heat], [0, 255]);
  assert.deepEqual(r.spans, [{ from: T - 30 * MINUTE, to: T }]);
  assert.equal(r.gaps[0]!.reason, 'restart');
  assert.deepEqual(r.pins, [{ id: 7, type: 'motion', start: T - 20 * MINUTE, end: T }]);
  assert.equal(decodeHeat('').length, 0);
});

test('heat is drawn against what is usual where it is busy, not against one wild bucket', () => {
  const quiet = { heat: Uint8Array.from({ length: 200 }, (_, i) => (i % 3 ? 0 : 9)) };
  assert.equal(heatTop([quiet]), 9);
  assert.equal(heatTop([quiet, { heat: Uint8Array.of(255) }]), 9);
  assert.equal(heatTop([]), 6);
  assert.equal(heatTop([{ heat: Uint8Array.of(1, 1, 2) }]), 6, 'noise does not fill a row');
});
