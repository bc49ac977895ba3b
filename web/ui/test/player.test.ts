import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from '../src/player/pace';
import { FrameTimes, type Part, Playlist, seekThreshold, syncRate } from '../src/player/playlist';

const part = (start: number, end: number, run = 1): Part =>
  ({ start, end, run, mime: 'm', init: 'i', url: `u${start}`, appended: false });

function filled(): Playlist {
  const p = new Playlist();
  p.reset(2500);
  p.add([part(1000, 3000), part(3000, 5000), part(9000, 11000, 2)], 12_000);
  return p;
}

test('a moment lies in a part, in a gap, or is not known yet', () => {
  const p = filled();
  const spot = p.at(2500);
  assert.ok(spot.kind === 'video' && spot.part.start === 1000);
  assert.deepEqual(p.at(6000), { kind: 'gap', next: 9000 });
  assert.deepEqual(p.at(11_500), { kind: 'gap', next: null });
  assert.equal(p.at(12_000).kind, 'unknown');
  assert.equal(p.at(500).kind, 'unknown');
});

test('rounding between two parts of a run is no gap', () => {
  const p = new Playlist();
  p.reset(0);
  p.add([part(0, 1990), part(2100, 4000)], 4000);
  const spot = p.at(2050);
  assert.ok(spot.kind === 'video' && spot.part.start === 2100);
});

test('parts are wanted in order, not beyond the horizon, and only once', () => {
  const p = filled();
  assert.equal(p.wanted(2500, 10_000)?.start, 1000);
  p.parts[0]!.appended = true;
  assert.equal(p.wanted(2500, 10_000)?.start, 3000);
  p.parts[1]!.appended = true;
  assert.equal(p.wanted(2500, 3000), null);
  assert.equal(p.wanted(2500, 7000)?.start, 9000);
});

test('a part listed twice stays one; one that has grown is wanted again', () => {
  const p = filled();
  p.parts.forEach((x) => { x.appended = true; });
  p.add([part(9000, 11000, 2), part(11_000, 12_000, 2)], 12_000);
  assert.deepEqual(p.parts.map((x) => x.start), [1000, 3000, 9000, 11_000]);
  assert.equal(p.parts[2]!.appended, true);
  p.parts[3]!.appended = true;
  p.add([{ ...part(11_000, 13_000, 2), url: 'longer' }], 13_000);
  assert.deepEqual(p.parts.map((x) => x.end), [3000, 5000, 11_000, 13_000]);
  assert.equal(p.wanted(12_500, 1000)?.url, 'longer');
});

test('what was played is forgotten', () => {
  const p = filled();
  p.forget(4000);
  assert.deepEqual(p.parts.map((x) => x.start), [3000, 9000]);
});

test('frames can be stepped through both ways', () => {
  const f = new FrameTimes();
  f.add([1000, 1100, 1200]);
  f.add([800, 900]);
  assert.equal(f.next(1000), 1100);
  assert.equal(f.next(1001), 1100);
  assert.equal(f.previous(1001), 900);
  assert.equal(f.previous(1150), 1100);
  assert.equal(f.next(1200), null);
  assert.equal(f.previous(800), null);
  assert.equal(f.shown(1150), 1100);
});

test('a view that is late plays faster, one that is early slower, never by much', () => {
  assert.ok(syncRate(1, -100) > 1 && syncRate(1, -100) <= 1.08);
  assert.ok(syncRate(1, 100) < 1 && syncRate(1, 100) >= 0.92);
  assert.equal(syncRate(16, -1000), 16);
  assert.equal(seekThreshold(0.5), 250);
  assert.equal(seekThreshold(4), 1000);
});

/* Plays at RATE on a machine that manages MANAGED; the second in which it was found too slow, or null. */
function paceOf(rate: number, managed: number, seconds = 20): number | null {
  const pace = new Pace();
  for (let ms = 0; ms <= seconds * 1000; ms += 16)
    if (pace.tooSlow(1e12 + ms * managed, ms, rate)) return ms / 1000;
  return null;
}

test('who does not keep the speed for six seconds is too slow; who nearly does is not', () => {
  const found = paceOf(16, 10);
  assert.ok(found !== null && found > 5.9 && found < 6.5, String(found));
  assert.equal(paceOf(16, 13), null);
  assert.equal(paceOf(1, 0), null); // a stall at the usual speed is another matter
});

test('loading once, a pause or another speed is not slowness', () => {
  const pace = new Pace();
  let t = 1e12;
  let slow = false;
  for (let ms = 0; ms < 30_000; ms += 16) {
    const loading = ms % 15_000 < 2500;
    if (!loading) t += 16 * 8;
    slow ||= pace.tooSlow(t, ms, 8);
  }
  assert.equal(slow, false);
  for (let ms = 30_000; ms < 60_000; ms += 16) slow ||= pace.tooSlow(t, ms, ms % 5000 < 2000 ? 0 : 8);
  assert.equal(slow, false);
});
