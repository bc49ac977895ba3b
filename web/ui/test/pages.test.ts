import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Camera, EventItem } from '../src/api/client';
import type { Found } from '../src/api/client';
import { whyText } from '../src/i18n/why';
import { candidates, placeOf, toCamera } from '../src/pages/find';
import { addPoint, freeName, inSide, lastNight, movePoint, newShape, place, readHours, readRules, removePoint, writeRules, wrongShape } from '../src/pages/rules';
import { slug } from '../src/pages/camera-id';
import { groupByDay, nightOf, summarise } from '../src/pages/event-groups';
import { cellsToHex } from '../src/pages/grid';
import { arrange, fit, moveBefore, moveBy, movingSet, patrolPage, stillPeriod, streamFor } from '../src/pages/wall-layout';
import { NO_ZOOM, panBy, zoomAt } from '../src/parts/zoom-pan';
import { href, parseHash } from '../src/router';
import { Zone } from '../src/time/zone';
import { monthOf, shiftMonth } from '../src/timeline/calendar';

const wib = new Zone('Asia/Jakarta', 'id');
const camera = (id: string, motion = false, has_sub = true): Camera =>
  ({ id, name: id, recording: true, state: 'recording', why: '', enabled: true, provisioned: false, has_sub, motion, analysis: 'adaptive' });

declare const UI_ROOT: string;

test('tiles are as large as the room allows, and all in sight', () => {
  assert.equal(fit(1, 1200, 700).cols, 1);
  assert.equal(fit(8, 1180, 700).cols, 3);
  assert.equal(fit(40, 1180, 700).cols, 6);
  for (const n of [1, 2, 5, 8, 9, 16, 25, 36, 40]) {
    const f = fit(n, 1180, 700);
    const tile = (f.width - 6 * (f.cols - 1)) / f.cols;
    const rows = Math.ceil(n / f.cols);
    assert.ok(f.width <= 1180 && rows * (tile * 9 / 16) + 6 * (rows - 1) <= 700.5, String(n));
  }
  assert.deepEqual(fit(40, 600, 300), { cols: 3, width: 600 }); // too small to see anything: scroll
});

test('the order of the wall: known ids first, the others as they came', () => {
  const list = ['a', 'b', 'c', 'd'].map((x) => camera(x));
  assert.deepEqual(arrange(list, ['c', 'gone', 'a']).map((c) => c.id), ['c', 'a', 'b', 'd']);
  assert.deepEqual(moveBy(['a', 'b', 'c'], 'c', -1), ['a', 'c', 'b']);
  assert.deepEqual(moveBy(['a', 'b', 'c'], 'a', -1), ['a', 'b', 'c']);
  assert.deepEqual(moveBefore(['a', 'b', 'c'], 'c', 'a'), ['c', 'a', 'b']);
});

test('patrol: busy cameras stay, the rest walks, nobody is left out', () => {
  const list = ['a', 'b', 'c', 'd', 'e'].map((x) => camera(x, x === 'd'));
  const seen = new Set<string>();
  for (let step = 0; step < 10; step++) {
    const page = patrolPage(list, 3, step);
    assert.equal(page.length, 3);
    assert.equal(page[0]!.id, 'd');
    assert.equal(new Set(page.map((c) => c.id)).size, 3);
    page.forEach((c) => seen.add(c.id));
  }
  assert.equal(seen.size, 5);
  assert.equal(patrolPage(list, 9, 3).length, 5);
});

test('phones get stills, and video where something moves, four at most', () => {
  const list = ['a', 'b', 'c', 'd', 'e', 'f'].map((x) => camera(x, x !== 'a'));
  const moving = movingSet(list, new Set(['f']));
  assert.deepEqual([...moving].sort(), ['b', 'c', 'd', 'f']);
  assert.equal(streamFor(list[0]!, 'auto', true, moving), 'still');
  assert.equal(streamFor(list[1]!, 'auto', true, moving), 'sub');
  assert.equal(streamFor(list[0]!, 'auto', false, moving), 'sub');
  assert.equal(streamFor(list[1]!, 'still', false, moving), 'still');
  assert.equal(streamFor(camera('x', false, false), 'live', true, moving), 'main');
  for (const n of [1, 4, 8, 12, 20]) // the server may be an eighth early
    assert.ok((n * 11_000 * 8) / (stillPeriod(n, 11_000) * 7 / 8) <= 140_000, `${n} stills`);
  assert.equal(stillPeriod(1, 8000), 2);
  assert.equal(stillPeriod(40, 100_000), 30);
});

test('events are grouped by the day of the site and summed up for the night', () => {
  const event = (id: number, start: string, cam: string, type = 'motion', seen = false): EventItem =>
    ({ id, camera: cam, type, rule: '', start, end: start, score: 1, seen, thumbnail: null });
  const list = [event(3, '2026-11-23T17:30:00Z', 'a'), event(2, '2026-11-23T16:30:00Z', 'a'), event(1, '2026-11-23T10:00:00Z', 'b', 'camera-offline', true)];
  const days = groupByDay(list, wib);
  assert.deepEqual(days.map((d) => d.items.map((e) => e.id)), [[3], [2, 1]]);
  assert.deepEqual(summarise(list), { total: 3, unseen: 2, trouble: 1, busiest: 'a' });
  assert.equal(summarise([]).busiest, null);
});

test('the night is the one that is on, or was last', () => {
  const at = (text: string): number => Date.parse(text);
  const evening = { from: at('2026-11-24T11:00:00Z'), to: at('2026-11-24T23:00:00Z') };
  assert.deepEqual(nightOf(at('2026-11-24T12:00:00Z'), wib), evening); // 19.00
  assert.deepEqual(nightOf(at('2026-11-24T20:00:00Z'), wib), evening); // 03.00
  assert.deepEqual(nightOf(at('2026-11-25T03:00:00Z'), wib), evening); // 10.00 the morning after
});

test('a picture is zoomed around the finger and never leaves its frame', () => {
  const z = zoomAt(NO_ZOOM, 2, 100, 50, 400, 200);
  assert.deepEqual(z, { scale: 2, x: -100, y: -50 });
  assert.deepEqual(panBy(z, 1000, 1000, 400, 200), { scale: 2, x: 0, y: 0 });
  assert.deepEqual(panBy(z, -1000, -1000, 400, 200), { scale: 2, x: -400, y: -200 });
  assert.deepEqual(zoomAt(z, 0.001, 0, 0, 400, 200), NO_ZOOM);
});

test('cells of the picture become the bits of the catalog', () => {
  assert.equal(cellsToHex([]), '0'.repeat(36));
  assert.equal(cellsToHex([0]), `01${'0'.repeat(34)}`);
  assert.equal(cellsToHex([143]), `${'0'.repeat(34)}80`);
  assert.equal(cellsToHex([8, 9]), `0003${'0'.repeat(32)}`);
});

test('ids made of names are short, plain and free', () => {
  assert.equal(slug('Gerbang Utara', new Set()), 'gerbang-utara');
  assert.equal(slug('Gerbang Utara', new Set(['gerbang-utara'])), 'gerbang-utara-2');
  assert.equal(slug('  ÉÀ!! ', new Set()), 'ea');
  assert.equal(slug('门', new Set()), 'kamera');
});

test('addresses hold the state and survive the way there and back', () => {
  const h = href(['timeline'], { cam: 'a,b', t: '2026-11-24T07:30:00.000Z', span: 600, in: undefined });
  assert.equal(h, '#/timeline?cam=a,b&t=2026-11-24T07:30:00.000Z&span=600');
  const r = parseHash(h);
  assert.deepEqual(r.path, ['timeline']);
  assert.equal(r.query.get('cam'), 'a,b');
  assert.deepEqual(parseHash('#/live/gerbang%20x').path, ['live', 'gerbang x']);
  assert.deepEqual(parseHash('#/%E0%A4%A').path, ['%E0%A4%A']);
  assert.deepEqual(parseHash('').path, []);
});

test('months: right number of days, first weekday, neighbours', () => {
  const m = monthOf(Date.parse('2026-11-24T07:30:00Z'), wib);
  assert.equal(m.days.length, 30);
  assert.equal(m.lead, 6); // 1 November 2026 is a Sunday
  assert.equal(m.days[0], Date.parse('2026-10-31T17:00:00Z'));
  assert.equal(m.end, Date.parse('2026-11-30T17:00:00Z'));
  assert.equal(shiftMonth(m, 1, wib).days.length, 31);
  assert.equal(shiftMonth(m, -1, wib).days[0], Date.parse('2026-09-30T17:00:00Z'));
});

test('last night is from ten to five at the site, and no later than now', () => {
  const night = (now: string): string[] => lastNight(wib, Date.parse(now)).map((x) => new Date(x).toISOString());
  assert.deepEqual(night('2026-11-25T03:00:00Z'), ['2026-11-24T15:00:00.000Z', '2026-11-24T22:00:00.000Z']); // ten in the morning
  assert.deepEqual(night('2026-11-24T19:30:00Z'), ['2026-11-24T15:00:00.000Z', '2026-11-24T19:30:00.000Z']); // half past two at night
  assert.deepEqual(night('2026-11-25T16:30:00Z'), ['2026-11-24T15:00:00.000Z', '2026-11-24T22:00:00.000Z']); // half past eleven in the evening
});

test('hours are understood as people type them, and what the recorder would refuse is found before', () => {
  assert.deepEqual(readHours('22-5, 7.05–9:30'), ['22:00-05:00', '07:05-09:30']);
  const zone = (rest: object) => ({ ...newShape('zone', 'Gang'), rest: { name: 'Gang', ...rest } });
  assert.equal(wrongShape([zone({ hours: readHours('18.00-24.00') }), newShape('ignore', '')]), null);
  assert.deepEqual(wrongShape([zone({}), zone({ name: ' ' })]), { at: 1, why: 'rules.noName' });
  for (const hours of ['malam', '22-25', '7:60-8']) assert.deepEqual(wrongShape([zone({ hours: readHours(hours) })]), { at: 0, why: 'rules.badHours' }, hours);
});

test('rules survive reading and writing, with what the editor does not know', () => {
  const stored = { version: 1, min_time: 2, zones: [{ name: 'pagar', loiter: 20, hours: ['22:00-05:00'], points: [[0, 0], [1, 0], [1, 1]] }],
    lines: [{ name: 'gerbang', direction: 'in', points: [[0.5, 0], [0.5, 1]] }], ignore: [{ points: [[0, 0], [0.1, 0], [0, 0.1]] }] };
  const r = readRules(stored);
  assert.deepEqual(r.shapes.map((s) => s.kind), ['zone', 'line', 'ignore']);
  assert.deepEqual(writeRules(r), stored);
  assert.equal(writeRules(readRules(null)), null);
});

test('shapes are drawn: corners are added on the longest edge, never fewer than three', () => {
  const z = newShape('zone', 'zona 1');
  const wide = movePoint(z, 1, place(2, 0.3));
  assert.deepEqual(wide.points[1], [1, 0.3]);
  const more = addPoint(wide);
  assert.equal(more.points.length, 5);
  assert.deepEqual(more.points[1], [0.65, 0.3]);
  let less = more;
  for (let i = 0; i < 9; i++) less = removePoint(less, 0);
  assert.equal(less.points.length, 3);
  assert.equal(addPoint(newShape('line', 'x')).points.length, 2);
  assert.equal(freeName('zona', [z]), 'zona 2');
});

test('the arrow of a line points to the right of its direction: that is in', () => {
  const [mid, tip] = inSide(newShape('line', 'x'))!; // drawn downwards: right is to the left on the screen
  assert.ok(tip[0] < mid[0] && Math.abs(tip[1] - mid[1]) < 1e-9);
});

test('what a search found becomes cameras: one a video source, with the shared login, unless it is there already', () => {
  const items: Found[] = [
    { address: '192.168.1.11', name: 'Gerbang', hardware: 'KT-1', state: 'ready', snapshot: 'http://192.168.1.11/s.jpg',
      suggested: [{ source: 'a', main: 'rtsp://192.168.1.11/1', sub: 'rtsp://192.168.1.11/2' }] },
    { address: '192.168.1.12', state: 'ready', hardware: 'NVR',
      suggested: [{ source: 'a', main: 'rtsp://192.168.1.12:554/1?ch=1', sub: '' }, { source: 'b', main: 'rtsp://192.168.1.12/1?ch=2', sub: '' }] },
    { address: '192.168.1.13', state: 'password-needed', why: 'it asks for a user name and password' },
  ];
  const list = candidates(items, ['rtsp://u:***@192.168.1.12/1?ch=1', '']);
  assert.deepEqual(list.map((c) => [c.name, c.known, c.main !== '']),
    [['Gerbang', false, true], ['NVR 1', true, true], ['NVR 2', false, true], ['192.168.1.13', false, false]]);
  assert.deepEqual(toCamera(list[0]!, 'Gerbang', 'ronda', 'm@lam/9:', new Set(['gerbang'])), {
    id: 'gerbang-2', name: 'Gerbang', main: 'rtsp://ronda:m%40lam%2F9%3A@192.168.1.11/1', sub: 'rtsp://ronda:m%40lam%2F9%3A@192.168.1.11/2',
    snapshot: 'http://192.168.1.11/s.jpg' });
  assert.equal(toCamera(list[2]!, 'Find', '', '', new Set()).id, 'find-2');
  assert.equal(toCamera(list[2]!, 'x', 'u', '$&', new Set()).main, 'rtsp://u:%24%26@192.168.1.12/1?ch=2');
  assert.equal(placeOf('rtsp://a:b@c@HOST:554/X?y=@'), 'host/X?y=@');
});

test('each reason that the RTSP client can give is said in Indonesian', () => {
  const source = ['rtsp_client.c', 'loop_session.c', 'session.c'].map((f) => readFileSync(join(UI_ROOT, '../../decoders/ingest', f), 'utf8')).join('\n');
  const whole = source.replace(/"\s*\n\s*"/g, '');
  const reasons = [...whole.matchAll(/"((?:the camera |no |nothing |this |the name |video codec )[^"]*)"/g)].map((m) => m[1]!.replace('offer %s', 'offer UDP').replace('%s', 'PLAY').replace('%d', '453'));
  assert.ok(reasons.length > 20, `${reasons.length} reasons found`);
  const forgotten = reasons.filter((why) => why !== 'no memory' && !why.includes('certificate') && whyText(why) === why);
  assert.deepEqual(forgotten, []);
});

test('what the recorder says of its disks is said in Indonesian', () => {
  for (const why of ['ring video: there is no ring in /srv/video', 'ring video: this is another ring\'s disk (aa, expected bb)', 'ring video: /srv/video/ring.meta: Read-only file system',
    'the disk does not take data: Input/output error', 'ring video: the disk of /srv/video has no room for 4096 MiB', 'ring video: another process records into /srv/video',
    'ring video: /srv/video/ring.meta is missing, and slab-000003.kts of 16 slabs is missing; nothing was changed (\'kentongan recover\' reads the slabs without it)', 'ring video: /srv/video: No such file or directory'])
    assert.ok(!/\bthe\b|\bring /.test(whyText(why)), `${why} -> ${whyText(why)}`);
});

test('what the recorder says of a camera is said in Indonesian, with what to do', () => {
  for (const why of ['the camera redirects to another address: refused; set that address if you trust it', 'nothing answers at this address: connection refused',
    'the camera refuses the user name or password', 'the camera sends no key frame', 'video codec vp8 cannot be recorded: set the camera to H.264',
    'connecting: Connection timed out', 'no video for 10 seconds', 'the camera closed the connection', 'the name of the camera is not known: check the address',
    'this address is not allowed: it leads to the recorder itself, or to no camera', 'the camera does not offer UDP: set another transport'])
    assert.ok(!/\bthe\b|\bcamera\b/.test(whyText(why)), `${why} -> ${whyText(why)}`);
  assert.ok(whyText('video codec vp8 cannot be recorded').includes('vp8'));
  assert.equal(whyText('something nobody foresaw'), 'something nobody foresaw');
});
