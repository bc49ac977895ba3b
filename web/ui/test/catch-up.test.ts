import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catchUp, continueAt, MAX_TARGET, MIN_TARGET, Target, trimTo } from '../src/live/catch-up';

test('a fresh tile jumps to the end of the cached pictures', () => {
  const m = catchUp(0, 0, 4, 0.1, true);
  assert.ok(m.seek !== null && Math.abs(m.seek - 3.9) < 1e-9);
});

test('a small delay is made up by playing a little faster, and then stops', () => {
  assert.equal(catchUp(9.9, 5, 10, 0.1, true).rate, 1);
  assert.equal(catchUp(9.7, 5, 10, 0.1, true).rate, 1.08);
  assert.equal(catchUp(9.2, 5, 10, 0.1, true).rate, 1.25);
  assert.equal(catchUp(9.2, 5, 10, 0.1, true).seek, null);
});

test('in the first moment of a tile it jumps instead', () => {
  assert.equal(catchUp(9.5, 5, 10, 0.1, true, true).seek, 9.9);
  assert.equal(catchUp(9.8, 5, 10, 0.1, true, true).seek, null);
});

test('where the rate must not change only jumps are left', () => {
  assert.deepEqual(catchUp(9.2, 5, 10, 0.1, false), { rate: 1, seek: null });
  assert.ok(catchUp(8, 5, 10, 0.1, false).seek !== null);
});

test('a play head left behind a hole jumps over it, never before the range', () => {
  assert.equal(catchUp(3, 9.95, 10, 0.3, true).seek, 9.95);
});

test('late data raises the target up to a limit, even data lowers it', () => {
  const t = new Target();
  assert.equal(t.seconds, MIN_TARGET);
  for (let i = 0; i < 50; i++) t.arrived(0.1);
  assert.equal(t.seconds, MIN_TARGET);
  for (let i = 0; i < 100; i++) t.arrived(2);
  assert.equal(t.seconds, MAX_TARGET);
  for (let i = 0; i < 1000; i++) t.arrived(0.1);
  assert.equal(t.seconds, MIN_TARGET);
});

test('the first chunk is placed at 0, later ones where they belong', () => {
  assert.equal(continueAt(812.5, null, 0), -812.5);
  assert.equal(continueAt(813, -812.5, 0.5), -812.5);
});

test('a run that starts again follows on; a hole of dropped frames stays a hole', () => {
  assert.equal(continueAt(0, -812.5, 20), 20);
  assert.equal(continueAt(840, -812.5, 20), -812.5);
  assert.equal(continueAt(900, -812.5, 20), 20 - 900);
});

test('the buffer is emptied only up to a key frame well behind the play head', () => {
  assert.equal(trimTo([0, 2, 4, 6, 8, 10], 10.5, 0, 4), 6);
  assert.equal(trimTo([0, 10], 9, 0, 4), null); // one long group of pictures: nothing can go
  assert.equal(trimTo([], 9, 0, 4), null);
  assert.equal(trimTo([0, 2, 4], 6, 0, 4), null); // too little to bother
});
