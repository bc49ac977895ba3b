import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outbox, type TileMessage } from '../src/live/outbox';

const sub = (tile: number): TileMessage => ({ op: 'subscribe', tile });
const unsub = (tile: number): TileMessage => ({ op: 'unsubscribe', tile });

test('a few messages go at once, in order', () => {
  const box = new Outbox();
  box.reset(0);
  for (const m of [sub(1), sub(2), unsub(3)]) box.push(m);
  assert.deepEqual(box.take(0), [sub(1), sub(2)]); // nobody knows tile 3
  box.push(unsub(1));
  assert.deepEqual(box.take(1), [unsub(1)]);
  assert.equal(box.wait, null);
});

test('however fast the layout changes, the server hears no more than it accepts, and at last what is', () => {
  const box = new Outbox();
  box.reset(0);
  let tokens = 200; // as the server counts
  let heardAt = 0;
  const on = new Set<number>();
  const hear = (now: number): void => {
    for (const m of box.take(now)) {
      tokens = Math.min(200, tokens + ((now - heardAt) / 1000) * 50) - 1;
      heardAt = now;
      assert.ok(tokens >= 0, `disconnected after ${now} ms`);
      if (m.op === 'subscribe') on.add(m.tile);
      else on.delete(m.tile);
    }
  };
  let shown: number[] = [];
  let next = 1;
  let now = 0;
  for (let change = 0; change < 100; change++, now += 30) {
    for (const t of shown) box.push(unsub(t));
    shown = Array.from({ length: 40 }, () => next++);
    for (const t of shown) box.push(sub(t));
    hear(now);
  }
  for (; box.wait !== null; now += box.wait ?? 0) hear(now);
  assert.deepEqual([...on].sort((a, b) => a - b), shown);
  assert.ok(now < 20_000, `${now} ms`);
});

test('another pace for a tile that is there is said once, and its end even so', () => {
  const box = new Outbox();
  box.reset(0);
  box.push(sub(1));
  box.take(0);
  box.push(sub(1));
  box.push(sub(1));
  box.push(unsub(1));
  assert.deepEqual(box.take(1), [unsub(1)]);
});
