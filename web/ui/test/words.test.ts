import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { forgetServerTime, learnServerTime, serverNow } from '../src/time/server-clock';
import { fill } from '../src/i18n';
import en from '../src/i18n/en';
import id from '../src/i18n/id';
import peopleEn from '../src/i18n/people-en';
import peopleId from '../src/i18n/people-id';

declare const UI_ROOT: string;

const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();

function sameWords(here: Record<string, string>, there: Record<string, string>): void {
  assert.deepEqual(Object.keys(there).sort(), Object.keys(here).sort());
  for (const [key, text] of Object.entries(here)) {
    assert.ok(text.trim() && there[key]!.trim(), key);
    assert.deepEqual(holes(there[key]!), holes(text), key);
  }
}

test('both languages have the same words with the same holes', () => {
  sameWords(id, en);
  sameWords(peopleId, peopleEn);
  assert.deepEqual(Object.keys(peopleId).filter((key) => key in id), [], 'said twice');
});

test('one is one camera and two are cameras; the words for one and for many are both there', () => {
  assert.equal(fill(en['find.found'], { n: 1 }), '1 camera found');
  assert.equal(fill(en['find.found'], { n: '0' }), '0 cameras found');
  assert.equal(fill('{a} {b|x|y}', { b: 1 }), '{a} x');
  for (const text of Object.values({ ...id, ...en, ...peopleId, ...peopleEn }))
    assert.doesNotMatch(fill(text, new Proxy({}, { get: () => 2 })), /[{}]/, text);
});

function sources(dir: string): string[] {
  return readdirSync(dir).flatMap((n) => {
    const p = join(dir, n);
    return statSync(p).isDirectory() ? sources(p) : /\.tsx?$/.test(n) ? [p] : [];
  });
}

test('no word is unused and none is asked for that is missing', () => {
  const text = sources(join(UI_ROOT, 'src')).filter((f) => !f.includes('i18n') || f.endsWith('why.ts')).map((f) => readFileSync(f, 'utf8')).join('\n')
    + readFileSync(join(UI_ROOT, 'src/i18n/index.ts'), 'utf8');
  const computed = /^(error|camera|why|advice|find\.needs|gap|event|role|roleIs|analysis|level|theme|span|wall\.mode|nav|rules|held|hold\.state|package|link\.state|link\.use|did|disk)\./;
  const all = { ...id, ...peopleId };
  for (const key of Object.keys(all)) if (!computed.test(key)) assert.ok(text.includes(`'${key}'`) || key.startsWith('timeline.'), `unused: ${key}`);
  for (const m of text.matchAll(/\bt\('([\w.-]+)'/g)) assert.ok(m[1]! in all, `missing: ${m[1]}`);
});

test('every reason for a gap and every state of a camera has words', () => {
  for (const code of ['camera-silent', 'disk-stall', 'clock-step', 'restart', 'disk-error', 'camera-disabled', 'erased', 'bad-stream', 'unknown'])
    assert.ok(`gap.${code}` in id, code);
  for (const code of ['recording', 'connecting', 'offline', 'silent', 'frozen', 'covered', 'defocused', 'moved', 'undecodable', 'dark', 'disabled', 'not-recording'])
    assert.ok(`camera.${code}` in id, code);
});

test('types.ts is what docs/openapi.yaml says', () => {
  const tool = join(UI_ROOT, 'node_modules/openapi-typescript/bin/cli.js');
  assert.ok(existsSync(tool), 'npm ci first');
  const dir = mkdtempSync(join(tmpdir(), 'kentongan-types-'));
  try {
    execFileSync(process.execPath, [tool, join(UI_ROOT, '../../docs/openapi.yaml'), '-o', join(dir, 'types.ts')], { stdio: 'ignore' });
    assert.equal(readFileSync(join(dir, 'types.ts'), 'utf8'), readFileSync(join(UI_ROOT, 'src/api/types.ts'), 'utf8'),
      'docs/openapi.yaml changed: run npm run types in web/ui');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('the server’s time is the latest bound, and the clock of the phone does not matter', () => {
  forgetServerTime();
  learnServerTime(1_000_000, 5000); // a Date header: up to 1 s old
  assert.equal(serverNow(5000), 1_000_000);
  learnServerTime(1_000_700, 5100); // a frame
  assert.equal(serverNow(5100), 1_000_700);
  learnServerTime(900_000, 5200); // an old cached frame does not turn it back
  assert.equal(serverNow(5200), 1_000_800);
  forgetServerTime();
});
