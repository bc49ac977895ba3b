import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstTime, listChunks, stretch } from '../src/live/boxes';

type Bytes = number[];
const u32 = (n: number): Bytes => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
const box = (type: string, ...body: Bytes[]): Bytes => {
  const inner = body.flat();
  return [...u32(inner.length + 8), ...[...type].map((c) => c.charCodeAt(0)), ...inner];
};

interface Frame {
  time: number;
  duration: number;
  version?: number;
  track?: number;
  perSample?: boolean;
}

/* What libavformat writes for one frame: mfhd, tfhd with a default duration, tfdt, trun. */
function chunk(f: Frame): Bytes {
  const tfdt = (f.version ?? 1) === 1
    ? box('tfdt', [1, 0, 0, 0], u32(Math.floor(f.time / 2 ** 32)), u32(f.time % 2 ** 32))
    : box('tfdt', [0, 0, 0, 0], u32(f.time));
  const trun = f.perSample ? box('trun', [0, 0, 1, 1], u32(2), u32(0), u32(f.duration), u32(f.duration))
    : box('trun', [0, 0, 0, 5], u32(1), u32(0), u32(0x2000000));
  const tfhd = box('tfhd', [0, 2, 0, 0x38], u32(f.track ?? 1), u32(f.duration), u32(10), u32(0));
  return [...box('moof', box('mfhd', u32(0), u32(1)), box('traf', tfhd, tfdt, trun)), ...box('mdat', [9, 9, 9])];
}

test('chunks are found with place, time and duration', () => {
  const data = new Uint8Array([...chunk({ time: 90000 * 5, duration: 9000 }), ...chunk({ time: 90000 * 5 + 9000, duration: 9000 })]);
  const list = listChunks(data);
  assert.equal(list.length, 2);
  assert.equal(list[0]!.offset, 0);
  assert.equal(list[1]!.offset, list[0]!.size);
  assert.equal(list[0]!.time, 5);
  assert.equal(list[1]!.time, 5.1);
  assert.equal(list[0]!.duration, 0.1);
  assert.equal(list[0]!.track, 1);
});

test('times beyond 32 bits, short times and per-sample durations are read', () => {
  const late = 2 ** 33 + 45000;
  assert.equal(firstTime(new Uint8Array(chunk({ time: late, duration: 1 }))), late / 90000);
  assert.equal(firstTime(new Uint8Array(chunk({ time: 90000, duration: 1, version: 0 }))), 1);
  assert.equal(listChunks(new Uint8Array(chunk({ time: 0, duration: 4500, perSample: true })))[0]!.duration, 0.1);
});

test('other boxes are skipped and a cut tail is not a chunk', () => {
  const good = chunk({ time: 0, duration: 9000 });
  const data = new Uint8Array([...box('styp', [1, 2, 3, 4]), ...good, ...chunk({ time: 9000, duration: 9000 }).slice(0, -2)]);
  const list = listChunks(data);
  assert.equal(list.length, 1);
  assert.equal(list[0]!.offset, 12);
});

test('garbage gives nothing and does not hang', () => {
  assert.deepEqual(listChunks(new Uint8Array(0)), []);
  assert.deepEqual(listChunks(new Uint8Array(64)), []);
  assert.deepEqual(listChunks(new Uint8Array(64).fill(255)), []);
  assert.equal(firstTime(new Uint8Array(box('moof', [0, 0]))), null);
});

test('a frame alone is made to last until the next', () => {
  for (const perSample of [false, true]) {
    const data = new Uint8Array(chunk({ time: 0, duration: 4500, perSample }));
    assert.equal(stretch(data, 2), true);
    assert.ok(listChunks(data)[0]!.duration >= 2);
  }
  assert.equal(stretch(new Uint8Array(16), 2), false);
});
