import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comeForward, NOBODY, sameGuests, seated, STAY } from '../src/pages/forward';

const order = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const active = (...ids: string[]): Set<string> => new Set(ids);

test('who moves out of sight takes the last quiet place; all others stay where they are', () => {
  const f = comeForward(NOBODY, order, 4, active('g', 'd'), 1000);
  assert.deepEqual(seated(order, f.guests), ['a', 'b', 'g', 'd', 'e', 'f', 'c', 'h']);
});

test('where all are in sight nobody ever moves', () => {
  assert.deepEqual(comeForward(NOBODY, order, 8, active('a', 'h'), 1000).guests, []);
  assert.deepEqual(comeForward(NOBODY, order, 40, active('h'), 1000).guests, []);
});

test('a guest keeps its place while others come, and goes home a while after it is calm', () => {
  let f = comeForward(NOBODY, order, 4, active('g'), 0);
  f = comeForward(f, order, 4, active('g', 'e'), 1000);
  assert.deepEqual(seated(order, f.guests), ['a', 'b', 'e', 'g', 'c', 'f', 'd', 'h']);
  f = comeForward(f, order, 4, active('e'), 1000 + STAY - 1);
  assert.equal(f.guests.length, 2);
  f = comeForward(f, order, 4, active('e'), 1000 + STAY + 1);
  assert.deepEqual(seated(order, f.guests), ['a', 'b', 'e', 'd', 'c', 'f', 'g', 'h']);
  f = comeForward(f, order, 4, active(), 1000 + 3 * STAY);
  assert.deepEqual(seated(order, f.guests), order);
});

test('a place where something moved a moment ago is not given away, and one too many waits', () => {
  let f = comeForward(NOBODY, order, 2, active('a', 'b'), 0);
  f = comeForward(f, order, 2, active('g'), STAY - 1);
  assert.deepEqual(f.guests, []);
  f = comeForward(f, order, 2, active('g', 'e', 'f'), STAY + 1);
  assert.deepEqual(f.guests.map((g) => g.id), ['e', 'f']);
});

test('nothing moves under the finger', () => {
  const one = comeForward(NOBODY, order, 4, active('g'), 0);
  const held = comeForward(one, order, 4, active('e'), 5 * STAY, true);
  assert.ok(sameGuests(one, held));
  assert.equal(comeForward(held, order, 4, active('e'), 5 * STAY + 1).guests[0]!.id, 'e');
});

test('a camera that was removed or is in sight now is no guest', () => {
  const f = comeForward(NOBODY, order, 4, active('g', 'h'), 0);
  assert.deepEqual(comeForward(f, order.filter((x) => x !== 'g'), 4, active('h'), 1).guests.map((g) => g.id), ['h']);
  assert.deepEqual(comeForward(f, order, 8, active('g', 'h'), 1).guests, []);
  assert.equal(new Set(seated(order, f.guests)).size, order.length);
});
