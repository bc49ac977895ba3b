import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEADER_SIZE, MessageType, parseMedia, parseText } from '../src/live/protocol';

function message(version: number, type: number, captureUs: bigint, bytes: number[]): ArrayBuffer {
  const buffer = new ArrayBuffer(HEADER_SIZE + bytes.length);
  const v = new DataView(buffer);
  v.setUint8(0, version);
  v.setUint8(1, type);
  v.setUint16(2, 513, true);
  v.setUint32(4, 1, true);
  v.setBigUint64(8, 5_000_000_123n, true);
  v.setBigInt64(16, captureUs, true);
  new Uint8Array(buffer, HEADER_SIZE).set(bytes);
  return buffer;
}

test('a chunk is read field by field, beyond 32 bits', () => {
  const m = parseMedia(message(1, 2, 1_795_486_072_123_456n, [1, 2, 3]));
  assert.ok(m);
  assert.equal(m.type, MessageType.Chunk);
  assert.equal(m.tile, 513);
  assert.equal(m.key, true);
  assert.equal(m.sequence, 5_000_000_123);
  assert.equal(m.captureUs, 1_795_486_072_123_456);
  assert.deepEqual([...m.data], [1, 2, 3]);
});

test('a time before 1970 keeps its sign', () => {
  assert.equal(parseMedia(message(1, 3, -1n, []))?.captureUs, -1);
});

test('another version, another type and a cut header are refused', () => {
  assert.equal(parseMedia(message(2, 2, 0n, [])), null);
  assert.equal(parseMedia(message(1, 4, 0n, [])), null);
  assert.equal(parseMedia(message(1, 0, 0n, [])), null);
  assert.equal(parseMedia(new ArrayBuffer(HEADER_SIZE - 1)), null);
});

test('text that is no message is refused, unknown operations are not', () => {
  assert.equal(parseText('{"op":"ready","tile":1,"mime":"video/mp4"}')?.op, 'ready');
  assert.equal(parseText('{"op":"from-the-future"}')?.op, 'from-the-future');
  for (const bad of ['', '{', 'null', '3', '{"op":3}', '[]']) assert.equal(parseText(bad), null, bad);
});
