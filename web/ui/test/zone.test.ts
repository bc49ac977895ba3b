import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTyped, Zone } from '../src/time/zone';

const wib = new Zone('Asia/Jakarta', 'id');
const at = (text: string): number => Date.parse(text);
const NOW = at('2026-11-24T07:30:00Z'); // 14.30 WIB

test('labels of the three Indonesian zones, and of others', () => {
  assert.equal(wib.label, 'WIB');
  assert.equal(new Zone('Asia/Makassar', 'id').label, 'WITA');
  assert.equal(new Zone('Asia/Jayapura', 'en').label, 'WIT');
  assert.equal(new Zone('UTC', 'en').label, 'UTC');
});

test('times are written as Indonesians and English write them', () => {
  assert.equal(wib.clock(NOW), '14.30.00');
  assert.equal(new Zone('Asia/Jakarta', 'en').clock(NOW), '14:30:00');
  assert.equal(wib.longDate(NOW), 'Selasa, 24 November 2026');
  assert.equal(wib.full(NOW), 'Sel, 24 Nov 14.30.00 WIB');
  assert.equal(wib.clock(NOW + 740, true), '14.30.00,7');
  assert.equal(new Zone('Asia/Jakarta', 'en').clock(NOW + 740, true), '14:30:00.7');
  assert.equal(wib.dateField(at('2026-11-23T20:00:00Z')), '2026-11-24');
});

test('civil time goes there and back, also where there is summer time', () => {
  for (const name of ['Asia/Jakarta', 'Asia/Jayapura', 'Europe/Amsterdam', 'America/New_York'])
    for (const t of ['2026-01-15T03:04:05Z', '2026-07-15T23:59:59Z', '2026-10-25T12:00:00Z']) {
      const z = new Zone(name, 'en');
      assert.equal(z.fromCivil(z.civil(at(t))), at(t), `${name} ${t}`);
    }
});

test('a day begins at midnight at the site', () => {
  assert.equal(wib.startOfDay(NOW), at('2026-11-23T17:00:00Z'));
});

test('typed times: with colon or dot, with or without seconds and zone', () => {
  for (const text of ['14:05', '14.05', '14:05:00', 'pukul 14.05', ' 14.05 WIB '])
    assert.equal(parseTyped(text, wib, NOW), at('2026-11-24T07:05:00Z'), text);
  assert.equal(parseTyped('7', wib, NOW), at('2026-11-24T00:00:00Z'));
});

test('a time of day that is still to come is yesterday’s, unless another day is looked at', () => {
  assert.equal(parseTyped('22:00', wib, NOW), at('2026-11-23T15:00:00Z'));
  assert.equal(parseTyped('22:00', wib, NOW, at('2026-11-20T01:00:00Z')), at('2026-11-20T15:00:00Z'));
});

test('typed days', () => {
  assert.equal(parseTyped('kemarin 22:15', wib, NOW), at('2026-11-23T15:15:00Z'));
  assert.equal(parseTyped('yesterday', wib, NOW), at('2026-11-22T17:00:00Z'));
  assert.equal(parseTyped('12/11 7.05', wib, NOW), at('2026-11-12T00:05:00Z'));
  assert.equal(parseTyped('12/11/25 7.05', wib, NOW), at('2025-11-12T00:05:00Z'));
  assert.equal(parseTyped('2026-11-12T14:30', wib, NOW), at('2026-11-12T07:30:00Z'));
  assert.equal(parseTyped('2026-11-12', wib, NOW), at('2026-11-11T17:00:00Z'));
});

test('typed distances', () => {
  assert.equal(parseTyped('-10m', wib, NOW), NOW - 600_000);
  assert.equal(parseTyped('- 2 jam', wib, NOW), NOW - 7_200_000);
  assert.equal(parseTyped('-30 detik', wib, NOW), NOW - 30_000);
});

test('what is no time is refused', () => {
  for (const bad of ['', 'abc', '25:00', '12:60', '31/2 10:00', '14:30 besok', '10:00:99'])
    assert.equal(parseTyped(bad, wib, NOW), null, bad);
});
