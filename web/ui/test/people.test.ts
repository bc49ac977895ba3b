import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../src/api/client';
import type { AuditRow, Export, Hold, JobState } from '../src/api/people';
import { learnPeopleWords, setLanguage } from '../src/i18n';
import { ACTIONS, auditSentence } from '../src/pages/audit-words';
import { eraseSpan, partsOf } from '../src/pages/erase-run';
import { logText } from '../src/pages/log-words';
import { diskWord, overwriteAt } from '../src/pages/storage-words';
import { grouped, heldCameras, isCopy, makePin, nextStep, progressOf, summariseHolds } from '../src/pages/case-state';
import { device } from '../src/pages/device-words';
import { asRequest, between, corners, fit, moveCorner, typeSide } from '../src/pages/copy-masks';

const FROM = '2026-11-24T19:00:00.000Z';
const TO = '2026-11-24T19:10:00.000Z';
const incident = { cameras: ['a', 'b'], from: FROM, to: TO };
const hold = (camera: string, state: JobState, done = 0, total = 0, from = FROM, to = TO): Hold =>
  ({ id: 1, incident: 1, camera, stream: 'main', from, to, state, done_bytes: done, total_bytes: total, why: '', created_by: 'x', created: FROM });
const pack = (state: JobState): Export =>
  ({ id: 1, incident: 1, state, done_bytes: 0, total_bytes: 0, size: 0, name: null, manifest_sha256: null, why: '', request: null, created_by: 'x', created: FROM, finished: null });

test('a browser is called what people call it', () => {
  const known: [string, string, string][] = [
    ['Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36', 'Chrome', 'Android'],
    ['Mozilla/5.0 (Linux; Android 14; SM-A057F) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36', 'Samsung Internet', 'Android'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1', 'Safari', 'iPhone'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1', 'Chrome', 'iPhone'],
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0', 'Edge', 'Windows'],
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0', 'Firefox', 'Windows'],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15', 'Safari', 'Mac'],
    ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36', 'Chrome', 'Linux'],
    ['curl/7.88.1', 'curl', ''],
    ['<script>window.pwned=1</script>', '', ''],
    ['', '', ''],
  ];
  for (const [agent, browser, system] of known) assert.deepEqual(device(agent), { browser, system });
});

test('an incident is safe only when all of its cameras and all of its span are held', () => {
  assert.equal(summariseHolds(incident, []), 'none');
  assert.equal(summariseHolds(incident, [hold('a', 'done')]), 'partial');
  assert.equal(summariseHolds(incident, [hold('a', 'done'), hold('b', 'done')]), 'done');
  assert.equal(summariseHolds(incident, [hold('a', 'done'), hold('b', 'done', 0, 0, FROM, '2026-11-24T19:05:00.000Z')]), 'partial');
  assert.equal(summariseHolds(incident, [hold('a', 'done'), hold('b', 'cancelled')]), 'partial');
  assert.equal(summariseHolds(incident, [hold('a', 'failed')]), 'failed');
  assert.equal(summariseHolds(incident, [hold('a', 'failed'), hold('b', 'running')]), 'running');
  assert.equal(summariseHolds(incident, [hold('a', 'failed'), hold('a', 'done'), hold('b', 'done')]), 'done', 'the second try counts');
  assert.equal(summariseHolds({ ...incident, cameras: [] }, []), 'none');
  assert.deepEqual(heldCameras(incident, [hold('b', 'waiting')]), ['b']);
});

test('progress is a share of bytes, and nothing while sizes are unknown', () => {
  assert.equal(progressOf([]), null);
  assert.equal(progressOf([hold('a', 'running')]), null);
  assert.equal(progressOf([hold('a', 'running', 50, 100), hold('b', 'done', 0, 300)]), 350 / 400);
  assert.equal(progressOf([hold('a', 'running', 500, 100)]), 1);
});

test('the next step: hold, package, hand over; wait while something is made', () => {
  assert.equal(nextStep('none', []), 'hold');
  assert.equal(nextStep('failed', []), 'hold');
  assert.equal(nextStep('running', []), 'wait');
  assert.equal(nextStep('done', []), 'package');
  assert.equal(nextStep('done', [pack('running')]), 'wait');
  assert.equal(nextStep('done', [pack('failed')]), 'package');
  assert.equal(nextStep('done', [pack('done')]), 'hand-over');
});

test('a PIN has six digits, each as likely as the others', () => {
  const feed = (...list: number[]) => (a: Uint32Array): Uint32Array => { a[0] = list.shift()!; return a; };
  assert.equal(makePin(feed(7)), '000007');
  assert.equal(makePin(feed(1_234_567)), '234567');
  assert.equal(makePin(feed(4_294_967_295, 42)), '000042', 'what would favour low digits is thrown again');
  assert.match(makePin((a) => crypto.getRandomValues(a)), /^\d{6}$/);
});

test('fingerprints are read in groups of four', () => {
  assert.equal(grouped('0123456789ab'), '0123 4567 89ab');
  assert.equal(grouped(''), '');
});

test('rows of the audit log are sentences, in both languages, and unknown ones keep their code', async () => {
  await learnPeopleWords();
  const name = (id: string): string => (id === 'gerbang' ? 'Gerbang Utara' : id);
  const row = (action: string, object: string | null, detail: Record<string, string> | null = null) =>
    auditSentence({ action, object, detail: detail as AuditRow['detail'] }, name);
  assert.equal(row('live', 'gerbang'), 'menonton langsung: Gerbang Utara');
  assert.equal(row('incident-add', '5', { title: 'Motor hilang' }), 'mencatat insiden: #5, Motor hilang');
  assert.equal(row('login', null), 'masuk');
  assert.equal(row('login-failed', 'budi'), 'gagal masuk dengan nama: budi');
  assert.equal(row('something-new', 'x'), 'something-new: x');
  await setLanguage('en').catch(() => undefined);
  assert.equal(row('live', 'gerbang'), 'watched live: Gerbang Utara');
  for (const action of ACTIONS.flatMap((g) => g.actions)) assert.ok(!row(action, null).startsWith('did.'), action);
  await setLanguage('id').catch(() => undefined);
});

test('lines of the log are said in words, and kept as they are where there are none', async () => {
  await learnPeopleWords();
  const name = (id: string): string => (id === 'gerbang' ? 'Gerbang Utara' : id);
  assert.equal(logText('gerbang/main: streaming', name), 'Gerbang Utara: gambar masuk');
  assert.match(logText('gerbang/main: offline: nothing answers at this address: connection refused', name)!, /^Gerbang Utara: Kamera tidak tersambung\. \S/);
  assert.equal(logText('ring: video: NOT RECORDING: the disk is gone', name), 'TIDAK MEREKAM ke ruang “video”: the disk is gone');
  assert.equal(logText('kentongan: 8 cameras, listening on port 8080', name), 'Perekam mulai dengan 8 kamera');
  assert.equal(logText('something nobody foresaw', name), null);
});

test('of a disk the worst is said, and when recordings are overwritten', () => {
  const disk = { ring: 'video', device: 'sda1', model: '', total_bytes: 1000, free_bytes: 500, kind: 'hdd' as const, temperature: 40, errors: 0 };
  const ring = { state: 'ok' as const, lost_intervals: 0, corrupt_records: 0 };
  assert.equal(diskWord(disk, ring), 'disk.good');
  assert.equal(diskWord({ ...disk, free_bytes: 10 }, ring), 'disk.otherFull');
  assert.equal(diskWord({ ...disk, temperature: 58, free_bytes: 10 }, ring), 'disk.hot');
  assert.equal(diskWord({ ...disk, temperature: 58, errors: 1 }, ring), 'disk.errors');
  assert.equal(diskWord(disk, { ...ring, lost_intervals: 2 }), 'disk.errors');
  assert.equal(diskWord({ ...disk, device: '', temperature: null, errors: null }, ring), 'disk.unknown');
  const now = Date.parse('2026-11-24T00:00:00Z');
  assert.equal(overwriteAt({ days: null, oldest: null }, now), null);
  assert.equal(overwriteAt({ days: 10, oldest: '2026-11-20T00:00:00Z' }, now), Date.parse('2026-11-30T00:00:00Z'));
  assert.equal(overwriteAt({ days: 3, oldest: '2026-11-20T00:00:00Z' }, now), 'now');
});

test('a copy for looking at is told from a package, also in the audit log', async () => {
  await learnPeopleWords();
  const asked = (request: object): Export => ({ ...pack('done'), request: request as Export['request'] });
  assert.equal(isCopy(pack('done')), false);
  assert.equal(isCopy(asked({ kind: 'package' })), false);
  assert.equal(isCopy(asked({ kind: 'copy', masks: [] })), true);
  const row = (detail: object): string => auditSentence({ action: 'export', object: '3', detail: detail as AuditRow['detail'] }, (c) => c);
  assert.equal(row({ kind: 'copy' }), 'membuat salinan tontonan (bukan bukti): #3');
  assert.equal(row({ officer: 'Hadi' }), 'membuat paket bukti: #3, Hadi');
});

test('masks stay inside the picture, and their corners do not cross', () => {
  assert.deepEqual(between([0.8, 0.6], [0.2, 0.1]), { x: 0.2, y: 0.1, w: 0.6, h: 0.5 });
  assert.deepEqual(fit({ x: 0.9, y: -1, w: 0.4, h: 3 }), { x: 0.6, y: 0, w: 0.4, h: 1 });
  const m = { x: 0.2, y: 0.2, w: 0.4, h: 0.4 };
  assert.deepEqual(corners(m), [[0.2, 0.2], [0.2 + 0.4, 0.2 + 0.4]]);
  assert.deepEqual(moveCorner(m, 0, [0.1, 0.3]), { x: 0.1, y: 0.3, w: 0.5, h: 0.3 });
  assert.deepEqual(moveCorner(m, 1, [2, 0.5]), { x: 0.2, y: 0.2, w: 0.8, h: 0.3 });
  assert.deepEqual(moveCorner(m, 1, [0, 0]), { x: 0.2, y: 0.2, w: 0.01, h: 0.01 });
  assert.deepEqual(moveCorner(m, 0, [1, 1]), { x: 0.59, y: 0.59, w: 0.01, h: 0.01 });
  for (let n = 0; n < 2000; n++) { // what is sent is what the server takes
    const r = moveCorner(between([Math.random(), Math.random()], [Math.random(), Math.random()]), n % 2, [Math.random() * 3 - 1, Math.random() * 3 - 1]);
    assert.ok(r.x >= 0 && r.y >= 0 && r.w > 0 && r.h > 0 && r.x + r.w <= 1.0001 && r.y + r.h <= 1.0001, JSON.stringify(r));
  }
});

test('typed sides of a mask: percentages, and nonsense changes nothing', () => {
  const m = { x: 0.2, y: 0.2, w: 0.4, h: 0.4 };
  assert.deepEqual(typeSide(m, 'w', '25.5'), { x: 0.2, y: 0.2, w: 0.255, h: 0.4 });
  assert.deepEqual(typeSide(m, 'x', '90'), { x: 0.6, y: 0.2, w: 0.4, h: 0.4 });
  for (const wrong of ['', ' ', 'x', 'NaN', '1e999']) assert.deepEqual(typeSide(m, 'h', wrong), m, wrong);
});

test('only masks of chosen cameras are asked for', () => {
  const m = { x: 0.2, y: 0.2, w: 0.4, h: 0.4 };
  assert.deepEqual(asRequest({ a: [m, m], b: [m] }, ['b', 'c']), [{ camera: 'b', ...m }]);
});

test('a long span is erased an hour at a time, and what was erased is known when it stops', async () => {
  const H = 3600_000;
  const asked: number[][] = [];
  const heard: number[] = [];
  const ask = (from: number, to: number): Promise<{ records: number; pictures: number }> => {
    asked.push([from, to]);
    return asked.length === 4 ? Promise.reject(new ApiError(503, 'not-recording', 'away')) : Promise.resolve({ records: 10, pictures: 1 });
  };
  const two = await eraseSpan(5, 5 + 1.5 * H, ask, (n) => heard.push(n));
  assert.deepEqual(asked, [[5, 5 + H], [5 + H, 5 + 1.5 * H]]);
  assert.deepEqual([heard, partsOf(5, 5 + 1.5 * H), partsOf(0, H)], [[1, 2], 2, 1]);
  assert.deepEqual(two, { until: 5 + 1.5 * H, records: 20, pictures: 2, error: null });
  const half = await eraseSpan(0, 3 * H, ask, () => undefined);
  assert.equal(half.until, H);
  assert.equal(half.records, 10);
  assert.equal((half.error as ApiError).code, 'not-recording');
  assert.equal(asked.length, 4); // nothing after a failure
});
