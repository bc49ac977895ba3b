/*
 * corpus.mjs - texts that are markup, script or addresses elsewhere (tests/corpus/hostile.json), as the names,
 * titles and notes of everything, in Debian's Chromium. The page's own Content-Security-Policy is switched
 * off here: no script may run even without it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, Cameras, check, enter, note, pause, ROOT, run, Server, test, until, visit } from './kt.mjs';

const CORPUS = JSON.parse(readFileSync(join(ROOT, 'tests/corpus/hostile.json'), 'utf8'));
const TEXTS = Object.values(CORPUS).flat();
const MARKUP = [...CORPUS.script, ...CORPUS.table, ...CORPUS.log];
const quoted = (list, most) => list.filter((s) => s.length <= most && !s.includes('\0'));

let cameras;
let server;
let browser;
let page;
const kept = { cameras: 0, incidents: [], users: 0, invitations: 0 };

/** SERVER answers, whatever it is; null when it refused. */
const offer = (method, path, body) => server.api(method, path, body).catch((error) => {
  check(/: 4\d\d /.test(String(error.message)), error.message);
  return null;
});

async function setup() {
  browser = await Browser.start();
  cameras = await Cameras.start(1);
  server = await Server.start(cameras);
  await until('the camera records', 20, async () => (await server.api('GET', '/cameras')).items[0].recording);
  page = await browser.page({ bypassCSP: true });
  watch(page);
}

async function teardown() {
  await browser?.close();
  await server?.stop().catch(() => undefined);
  cameras?.process.kill();
}

function watch(p) {
  p.dialogs = [];
  p.on('dialog', (d) => { p.dialogs.push(d.message()); void d.dismiss(); });
}

/** What of the texts became more than a text on page P. */
const escaped = (p) => p.evaluate(() => {
  const bad = [];
  if (window.pwned) bad.push('a script ran');
  for (const e of document.querySelectorAll('*')) {
    if (['IFRAME', 'OBJECT', 'EMBED', 'BASE', 'MATH', 'MGLYPH'].includes(e.tagName)) bad.push(e.outerHTML.slice(0, 200));
    if (e.tagName === 'META' && e.httpEquiv === 'refresh') bad.push(e.outerHTML);
    for (const { name, value } of e.attributes) {
      if (name.startsWith('on')) bad.push(`${e.tagName} ${name}=${value}`);
      if (['href', 'src', 'action', 'xlink:href', 'formaction'].includes(name) && (/^\s*javascript:/i.test(value) || value.includes('evil.example')))
        bad.push(`${e.tagName} ${name}=${value}`);
    }
  }
  return bad;
});

async function clean(p, what) {
  const bad = [...(await escaped(p)), ...p.dialogs, ...p.foreign];
  check(bad.length === 0, `${what}: ${bad.join('\n')}`);
}

test('this test notices a script that runs, a strange element and a foreign address', async () => {
  const other = await browser.page({ bypassCSP: true });
  watch(other);
  await other.goto(`${server.base}/`);
  await other.evaluate(() => document.body.insertAdjacentHTML('beforeend',
    '<img src="http://evil.example/x.png" onerror="window.pwned=1"><iframe srcdoc=""></iframe><a href="javascript:alert(1)">x</a>'));
  await until('the script ran', 5, () => other.evaluate(() => window.pwned));
  check((await escaped(other)).length >= 5 && other.foreign.length === 1, (await escaped(other)).join('\n'));
  await other.context().close();
});

test('cameras, zones, incidents, invitations and people are called whatever the server takes', async () => {
  const now = Date.now() - 2000;
  const span = { from: new Date(now - 3000).toISOString(), to: new Date(now).toISOString() };
  for (const [i, name] of quoted(MARKUP, 120).entries()) {
    const zone = name.slice(0, 60);
    const rules = { version: 1, zones: [{ name: zone, points: [[0, 0], [1, 0], [1, 1], [0, 1]] }] };
    if (await offer('POST', '/cameras', { id: `jahat-${i}`, name, main: 'rtsp://192.0.2.1/x', enabled: false, rules })) kept.cameras++;
  }
  for (const text of TEXTS) {
    const made = await offer('POST', '/incidents', { title: text.slice(0, 200), notes: text, cameras: ['cam01'], ...span });
    if (made) kept.incidents.push(made.id);
  }
  for (const text of MARKUP) if (await offer('POST', '/invitations', { role: 'volunteer', note: text.slice(0, 120) })) kept.invitations++;
  for (const text of [...CORPUS.script, ...CORPUS.sql, ...CORPUS.table].slice(0, 40))
    if (await offer('POST', '/users', { username: text.slice(0, 60), password: 'ronda-malam-jumat', role: 'volunteer' })) kept.users++;
  note(JSON.stringify({ ...kept, incidents: kept.incidents.length }));
  check(kept.cameras > 40 && kept.incidents.length > 80 && kept.invitations > 40, 'little was taken');
});

test('every page shows them as texts: no script, no element, no foreign address', async () => {
  await enter(page, server, '#/live');
  await page.waitForSelector('.shell');
  const pages = ['#/live', '#/timeline', '#/events', '#/clip', '#/incidents', '#/incidents/new', '#/packages', '#/account', '#/more', '#/setup',
    '#/admin/cameras', '#/admin/cameras/new', '#/admin/cameras/find', '#/admin/users', '#/admin/audit', '#/admin/logs', '#/admin/system'];
  for (let i = 0; i < kept.cameras; i += 7) pages.push(`#/admin/cameras/jahat-${i}`, `#/live/jahat-${i}`);
  for (const id of kept.incidents.filter((_, i) => i % 6 === 0)) pages.push(`#/incidents/${id}`, `#/incidents/${id}/copy`);
  for (const hash of pages) {
    await visit(page, hash);
    await pause(180);
    await clean(page, hash);
  }
  await visit(page, '#/incidents');
  await page.waitForSelector('.case');
  const text = await page.textContent('body');
  const seen = CORPUS.script.filter((s) => text.includes(s)).length;
  note(`${pages.length} pages; ${seen} of ${CORPUS.script.length} titles stand in the list letter by letter`);
  check(seen > CORPUS.script.length * 0.8, 'the titles are not shown');
});

test('in the address of the page, too', async () => {
  for (const [i, text] of [...CORPUS.script, ...CORPUS.path, ...CORPUS.header].entries()) {
    const part = encodeURIComponent(text.slice(0, 400).toWellFormed());
    const hash = [`#/${part}`, `#/timeline?cam=${part}&t=${part}`, `#/events?camera=${part}&type=${part}`, `#/incidents/${part}`, `#/admin/${part}`][i % 5];
    await visit(page, hash);
    await clean(page, hash);
  }
  await pause(300);
  await clean(page, 'the last of them');
});

test('a package, its report and the officer’s page show them as texts', async () => {
  const now = Date.now() - 2000;
  const [title, notes] = [CORPUS.script.slice(0, 3).join(' ').slice(0, 150), CORPUS.script.join('\n')];
  const made = await server.api('POST', '/incidents', { title, notes, cameras: ['cam01'], from: new Date(now - 3000).toISOString(), to: new Date(now).toISOString() });
  await server.api('POST', `/incidents/${made.id}/holds`, { stream: 'main' });
  const [agency, officer, officer_id, letter, purpose] = quoted(CORPUS.script, 60).slice(3);
  const { id: pack } = await server.api('POST', '/exports', { incident: made.id, agency, officer, officer_id, letter, purpose });
  await until('the package is made', 20, async () => (await server.api('GET', `/exports/${pack}`)).state === 'done');
  const { path: link } = await server.api('POST', `/exports/${pack}/shares`, { note: officer });
  await visit(page, `#/packages/${pack}`);
  await page.waitForSelector('h1');
  await pause(300);
  await clean(page, 'the package');
  for (const path of [`/api/v1/exports/${pack}/berita-acara.html`, link]) {
    const other = await page.context().newPage();
    other.foreign = [];
    other.on('request', (r) => { if (!r.url().startsWith(server.base) && !r.url().startsWith('data:')) other.foreign.push(r.url()); });
    watch(other);
    await other.goto(server.base + path);
    const text = await other.textContent('body');
    check(text.includes(officer), `${path} shows none of them: ${text.slice(0, 300)}`);
    await clean(other, path);
    await other.close();
  }
});

await run(setup, teardown);
