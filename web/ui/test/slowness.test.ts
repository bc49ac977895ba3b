import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { retryAfter, Slowness, Stumbles } from '../src/live/slowness';

test('frames that come in time are never too slow, nor is a camera that sends none', () => {
  const s = new Slowness();
  for (let t = 0; t < 60_000; t += 100) {
    s.arrived(180, t);
    assert.equal(s.tooSlow(t), false);
  }
  assert.equal(s.tooSlow(600_000), false);
});

test('only late frames for five seconds are too slow; one in time is enough to go on', () => {
  const s = new Slowness();
  for (let t = 0; t < 4500; t += 500) s.arrived(4000, t);
  s.arrived(500, 4600); // the end of the cached group of pictures, for one
  assert.equal(s.tooSlow(5100), false);
  for (let t = 5000; t <= 11_000; t += 500) s.arrived(4000, t);
  assert.equal(s.tooSlow(11_000), true);
});

test('one skip is a hiccup, three in a short time are a slow network, and they are forgotten', () => {
  const s = new Slowness();
  s.dropped(0);
  s.dropped(3000);
  assert.equal(s.tooSlow(3000), false);
  s.dropped(6000);
  assert.equal(s.tooSlow(6000), true);
  assert.equal(s.tooSlow(20_000), false);
});

test('video is tried again later and later, at least once a minute or so', () => {
  assert.ok(retryAfter(1, 0) >= 10_000 && retryAfter(1, 1) <= 20_000);
  assert.ok(retryAfter(2, 0.5) > retryAfter(1, 0.5));
  assert.ok(retryAfter(20, 1) <= 75_000);
  assert.notEqual(retryAfter(1, 0.1), retryAfter(1, 0.9));
});

test('a decoder that gave up is tried twice a minute', () => {
  const s = new Stumbles();
  assert.deepEqual([s.again(0), s.again(1000), s.again(2000)], [true, true, false]);
  assert.equal(s.again(60_500), true);
});
