/*
 * people.mjs - what people do around the pictures, in Debian's Chromium against the real server:
 * incidents and held video, evidence packages, links for officers, accounts, the audit log, the
 * first start.
 *
 *   node people.mjs [WORD…]          only promises that hold one of the words
 *   node people.mjs --screens DIR    also leave pictures of every page there
 */
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { axe, Browser, Cameras, check, enter, KENTONGAN, note, pause, run, Server, test, until, visit } from './kt.mjs';
import { eraseScreens, eraseTests } from './erase.mjs';
import { STRIP_SOURCE } from './strip.mjs';

const WORD = 'ronda-malam-jumat';
const HEAD = 'bu-rt';
const POLICE = 'bripka-hadi';
const GUARD = 'pak-slamet';
const screens = process.argv.indexOf('--screens');

let cameras;
let server;
let browser;
let page; // the head, desktop, Indonesian: most tests go on where the last one was
let incident; // ids that the tests find on the way
let pack;
let copy;

async function setup() {
  browser = await Browser.start();
  cameras = await Cameras.start(4);
  server = await Server.start(cameras);
  await until('all cameras record', 20, async () => {
    const { items } = await server.api('GET', '/cameras');
    return items.length === 4 && items.every((c) => c.recording);
  });
  for (const [username, role] of [[HEAD, 'head'], [POLICE, 'police'], [GUARD, 'volunteer']])
    await server.api('POST', '/users', { username, password: WORD, role });
  page = await browser.page();
}

async function teardown() {
  await browser?.close();
  await server?.stop().catch(() => undefined);
  cameras?.process.kill();
}

const idIn = (p, name) => p.evaluate((n) => Number(new RegExp(`#/${n}/(\\d+)`).exec(location.hash)?.[1] ?? 0), name);
const typed = (t) => { // as the fields show it: the site's clock
  const s = new Date(t + 7 * 3_600_000).toISOString();
  return `${s.slice(0, 10)} ${s.slice(11, 19)}`;
};
const has = (p, text) => p.waitForSelector(`text=${text}`);

/* ------------------------------ incidents and held video ------------------------------ */

test('without incidents it says what they are for', async () => {
  await enter(page, server, '#/incidents', HEAD, WORD);
  await has(page, 'Belum ada insiden');
  await has(page, 'Brankas bukti: 0 B dari');
  await visit(page, '#/packages');
  await has(page, 'Belum ada paket bukti');
});

test('an incident is made of a title, a span, cameras and notes', async () => {
  await pause(9000); // something must be recorded
  const to = Date.now() - 3000;
  await visit(page, '#/incidents/new');
  await page.fill('input[name=title]', 'Motor hilang di <b>Gang</b> Melati');
  for (const [label, t] of [['Mulai', to - 7000], ['Selesai', to]]) {
    await page.fill(`label:has-text("${label}") + div input`, typed(t));
    await page.press(`label:has-text("${label}") + div input`, 'Tab');
  }
  await page.fill('textarea[name=notes]', 'Pemilik melapor pukul 02.10.');
  await page.click('button:has-text("Simpan insiden")');
  await has(page, 'Pilih paling sedikit satu kamera');
  for (const name of ['Gerbang Utara', 'Gang Melati']) await page.check(`label:has-text("${name}") input`);
  await page.click('button:has-text("Simpan insiden")');
  await page.waitForSelector('.steps');
  incident = await idIn(page, 'incidents');
  const stored = await server.api('GET', `/incidents/${incident}`);
  check(stored.title === 'Motor hilang di <b>Gang</b> Melati' && stored.cameras.join() === 'cam01,cam02', JSON.stringify(stored));
  check(Math.abs(Date.parse(stored.to) - to) < 1100 && Date.parse(stored.to) - Date.parse(stored.from) === 7000, `${stored.from} ${stored.to}`);
  check(await page.locator('h1 b').count() === 0, 'the title became HTML');
});

test('its video is held with one press, and it is said when it is safe', async () => {
  await has(page, 'video belum diamankan');
  await page.click('button.primary:has-text("Amankan video (2 kamera)")');
  await until('both are safe', 20, async () => (await page.locator('.hold-row .badge.ok').count()) === 2);
  await page.waitForSelector('.badge:has-text("video aman")');
  check(await page.locator('button:has-text("Amankan")').count() === 0, 'what is held can be held again');
  const { holds } = await server.api('POST', `/incidents/${incident}/holds`, {}).then(() => server.api('GET', `/incidents/${incident}`));
  check(holds.length === 2 && holds.every((h) => h.state === 'done' && h.done_bytes > 100_000), `held twice: ${JSON.stringify(holds)}`);
});

test('a hold whose span is still to come waits, and can be cancelled', async () => {
  const made = await server.api('POST', '/incidents', { title: 'Ronda nanti', from: new Date(Date.now() - 8000).toISOString(), to: new Date(Date.now() + 600_000).toISOString(), cameras: ['cam03'] });
  await visit(page, `#/incidents/${made.id}`);
  await page.click('button:has-text("Amankan video (1 kamera)")');
  await page.waitForSelector('.hold-row .badge:has-text("menunggu")');
  await page.click('button[aria-label^="Batalkan"]');
  await page.click('dialog button.danger');
  await page.waitForSelector('button:has-text("Amankan video (1 kamera)")');
  await page.click('button.danger:has-text("Hapus")');
  await page.click('dialog button.danger');
  await page.waitForURL(/#\/incidents$/);
  await until('the deleted one is no longer listed', 4, async () => (await page.locator('.case').count()) === 1);
});

test('events of its time are offered, and marked with one press', async () => {
  await server.api('PATCH', `/incidents/${incident}`, { notes: 'Pemilik melapor pukul 02.10.' });
  const event = await until('an event', 75, async () => (await server.api('GET', '/events?type=motion&limit=50')).items.find((e) => e.thumbnail && e.end), 500);
  const made = await server.api('POST', '/incidents', { title: 'Orang tak dikenal', from: new Date(Date.parse(event.start) - 2000).toISOString(), to: event.end, cameras: [event.camera] });
  await visit(page, `#/incidents/${made.id}`);
  await page.waitForSelector('.mark-card');
  await page.locator('.mark-card').first().press('Enter');
  await page.waitForSelector('.mark-card[aria-pressed=true]');
  await until('the server knows', 3, async () => (await server.api('GET', `/incidents/${made.id}`)).events.length === 1);
});

/* ------------------------------ evidence packages ------------------------------ */

test('a package is made for an officer, with letter and reason', async () => {
  await visit(page, `#/incidents/${incident}`);
  await page.click('button.primary:has-text("Buat paket bukti")');
  await page.fill('dialog input[name=officer]', 'Bripka Hadi Santoso');
  await page.fill('dialog input[name=officer_id]', '87010234');
  await page.fill('dialog input[name=agency]', 'Polsek Kemang');
  await page.fill('dialog input[name=letter]', 'B/123/XI/2026');
  await page.fill('dialog textarea[name=purpose]', 'Penyelidikan pencurian sepeda motor');
  await page.click('dialog button.primary');
  await page.waitForURL(/#\/packages\/\d+/);
  pack = await idIn(page, 'packages');
  await page.waitForSelector('a:has-text("Unduh paket")', { timeout: 30_000 });
  const { request, manifest_sha256 } = await server.api('GET', `/exports/${pack}`);
  check(request.officer === 'Bripka Hadi Santoso' && request.letter === 'B/123/XI/2026' && request.purpose.startsWith('Penyelidikan'), JSON.stringify(request));
  check((await page.textContent('.finger')).replaceAll(' ', '') === manifest_sha256, 'another fingerprint on the page');
});

test('what is downloaded is accepted by kentongan verify with the fingerprint of the page', async () => {
  const finger = (await page.textContent('.finger')).replaceAll(' ', '');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('a:has-text("Unduh paket")')]);
  check(/^EV-.*\.zip$/.test(download.suggestedFilename()), download.suggestedFilename());
  const path = join(server.folder, download.suggestedFilename());
  await download.saveAs(path);
  const said = execFileSync(KENTONGAN, ['verify', '--manifest', finger, path], { encoding: 'utf8' });
  note(said.trim().split('\n').pop());
});

test('the report opens to be printed, with QR and the fingerprint', async () => {
  const [paper] = await Promise.all([page.context().waitForEvent('page'), page.click('a:has-text("Cetak berita acara")')]);
  await paper.waitForSelector('svg.qr');
  const text = (await paper.textContent('body')).replaceAll(' ', '');
  const { manifest_sha256 } = await server.api('GET', `/exports/${pack}`);
  check(text.includes(manifest_sha256) && text.includes('B/123/XI/2026'), 'facts are missing on the paper');
  await paper.close();
});

test('a package that waits is cancelled, and made again on request', async () => {
  const made = await server.api('POST', '/incidents', { title: 'Nanti', from: new Date(Date.now() - 8000).toISOString(), to: new Date(Date.now() + 20_000).toISOString(), cameras: ['cam04'] });
  await visit(page, `#/incidents/${made.id}`);
  await page.click('button:has-text("Buat paket bukti")');
  await has(page, 'Videonya belum diamankan');
  for (const [name, text] of [['officer', 'Aipda Rini'], ['agency', 'Polsek Kemang']]) await page.fill(`dialog input[name=${name}]`, text);
  await page.fill('dialog textarea[name=purpose]', 'Coba');
  await page.click('dialog button.primary');
  await has(page, 'Menunggu video selesai diamankan');
  await page.click('button:has-text("Batalkan")');
  await page.click('dialog button.danger');
  await has(page, 'Dibatalkan atau ditarik kembali');
  const first = await idIn(page, 'packages');
  await page.click('button:has-text("Buat lagi")');
  await until('another package', 5, async () => (await idIn(page, 'packages')) > first);
  await page.waitForSelector('a:has-text("Unduh paket")', { timeout: 45_000 });
  const { request } = await server.api('GET', `/exports/${await idIn(page, 'packages')}`);
  check(request.officer === 'Aipda Rini', 'the request was not taken over');
});

/* ------------------------------ copies for looking at ------------------------------ */

const shownIn = async (p) => p.evaluate(() => [...document.querySelectorAll('.sides input')].map((i) => Number(i.value)));
const BOX = [[0.5, 0.25], [0.9, 0.75]]; // what is dragged: corners

test('boxes are drawn over the incident’s own picture, at any moment of it; where there is none that is said', async () => {
  const { from, to } = await server.api('GET', `/incidents/${incident}`);
  await visit(page, `#/incidents/${incident}/copy`);
  await page.waitForSelector('.draw canvas');
  const read = () => page.evaluate(`(${STRIP_SOURCE})(document.querySelector('.draw canvas'))`);
  /* How long before T (ms) the picture was taken, in seconds of the camera's loop. */
  const before = async (t) => {
    let tick = null; // 0 is one, too
    await until('the picture is there', 8, async () => { tick = await read(); return tick !== null; });
    return cameras.lag(0, tick, t);
  };
  const age = await before(Date.parse(from)); // of the key frame before it
  check(age > -0.2 && age < 4, `the picture is ${age} s older than the beginning`);
  const slider = page.locator('.moment input').first();
  await slider.focus();
  await page.keyboard.press('End');
  await until('the picture is of the end', 8, async () => Math.abs(await before(Date.parse(to))) < 4);
  check((await slider.getAttribute('aria-valuetext')) !== null && /WIB/.test(await page.locator('.moment .num').first().textContent()), 'the moment is not said');
  const old = await server.api('POST', '/incidents', { title: 'Lama', from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:01:00Z', cameras: ['cam03'] });
  await visit(page, `#/incidents/${old.id}/copy`);
  await has(page, 'ini gambarnya sekarang');
  await page.waitForSelector('.draw img');
  check(await page.locator('.moment').count() === 0, 'a moment can be chosen where there is none');
  await server.api('DELETE', `/incidents/${old.id}`);
  page.problems = page.problems.filter((p) => !(p.includes('404') && p.includes('/cam03/keyframe.mp4'))); // Chromium logs the answer
});

test('a copy for looking at: cameras are chosen, boxes dragged, moved by keys and typed; it is never called evidence', async () => {
  await visit(page, `#/incidents/${incident}`);
  await page.click('a:has-text("Buat salinan tontonan")');
  await has(page, 'bukan bukti: videonya dikodekan ulang');
  for (const name of ['Gerbang Utara', 'Gang Melati']) await page.uncheck(`label:has-text("${name}") input`);
  await page.click('button:has-text("Buat salinan tontonan")');
  await has(page, 'Pilih paling sedikit satu kamera');
  await page.check('label:has-text("Gang Melati") input');
  await page.locator('.draw').scrollIntoViewIfNeeded();
  const r = await page.locator('.draw').boundingBox();
  const at = ([x, y]) => [r.x + x * r.width, r.y + y * r.height];
  await page.mouse.move(...at(BOX[0]));
  await page.mouse.down();
  await page.mouse.move(...at([0.7, 0.5]));
  await page.mouse.move(...at(BOX[1]));
  await page.mouse.up();
  const drawn = await shownIn(page);
  check(drawn.length === 4 && drawn.every((v, i) => Math.abs(v - [50, 25, 40, 50][i]) < 0.6), `dragged: ${drawn}`);
  await page.click('button:has-text("Tambah kotak")'); // the second: by keys and numbers alone
  await page.focus('.handle[aria-label="Sudut kiri atas"]');
  for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowUp']) await page.keyboard.press(key);
  const moved = await shownIn(page);
  check(moved.join() === '33,34,32,31', `moved by keys: ${moved}`);
  for (const [label, text] of [['Dari kiri', '2'], ['Dari atas', '80'], ['Lebar', '10'], ['Tinggi', '95']]) {
    await page.fill(`.sides .field:has-text("${label}") input`, text);
    await page.press(`.sides .field:has-text("${label}") input`, 'Tab');
  }
  check((await shownIn(page)).join() === '2,5,10,95', `what does not fit is moved inside: ${await shownIn(page)}`);
  await page.keyboard.press('Tab');
  await page.focus('.handle >> nth=1');
  await page.keyboard.press('Delete');
  await until('one box is left', 3, async () => (await page.locator('.draw svg rect').count()) === 1);
  await page.click('button:has-text("Buat salinan tontonan")');
  await page.waitForURL(/#\/packages\/\d+/);
  copy = await idIn(page, 'packages');
  await page.waitForSelector('a:has-text("Unduh salinan")', { timeout: 120_000 });
  const { request, name } = await server.api('GET', `/exports/${copy}`);
  check(request.kind === 'copy' && request.cameras.join() === 'cam02' && request.masks.length === 1 && name.startsWith('SALINAN-DISAMARKAN-'), JSON.stringify({ name, request }));
  check(await page.locator('text=Cetak berita acara').count() === 0 && await page.locator('.finger').count() === 0, 'it looks like evidence');
});

test('its download plays, has the time in the picture, and what was boxed is black throughout', async () => {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('a:has-text("Unduh salinan")')]);
  check(/^SALINAN-DISAMARKAN-.*\.zip$/.test(download.suggestedFilename()), download.suggestedFilename());
  const path = join(server.folder, download.suggestedFilename());
  await download.saveAs(path);
  execFileSync('python3', ['-m', 'zipfile', '-e', path, join(server.folder, 'copy')]);
  const folder = join(server.folder, 'copy', download.suggestedFilename().replace('.zip', ''));
  const videos = readdirSync(folder).filter((f) => f.endsWith('.mp4'));
  check(videos.length > 0 && videos.every((f) => f.startsWith('SALINAN-DISAMARKAN-cam02-')), `other cameras: ${videos}`);
  for (const video of videos) {
    const file = join(folder, video);
    const probe = JSON.parse(execFileSync('ffprobe', ['-v', 'error', '-count_frames', '-show_streams', '-of', 'json', file], { encoding: 'utf8' })).streams;
    check(probe.length === 1 && probe[0].codec_name === 'h264' && Number(probe[0].nb_read_frames) > 10, JSON.stringify(probe));
    const [W, H] = [160, 90];
    const pixels = execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-vf', `fps=2,scale=${W}:${H}`, '-f', 'rawvideo', '-pix_fmt', 'gray', '-'], { maxBuffer: 1 << 26 });
    check(pixels.length >= W * H, 'no pictures');
    for (let at = 0; at < pixels.length; at += W * H) {
      let [inside, outside] = [0, 0]; // the brightest: in the box less its rim, and above and left of it
      for (let y = 0; y < H; y++)
        for (let x = 0; x < W; x++) {
          const v = pixels[at + y * W + x];
          if (x > 82 && x < 142 && y > 25 && y < 65) inside = Math.max(inside, v);
          if (x < 76) outside = Math.max(outside, v);
        }
      check(inside < 24 && outside > 80, `picture ${at / W / H}: ${inside} inside, ${outside} outside`);
    }
  }
  note(`${videos.length} video(s) of ${download.suggestedFilename()}`);
});

test('a copy is cancelled while it waits; the incident lists copies apart from evidence', async () => {
  const made = await server.api('POST', '/incidents', { title: 'Salinan nanti', from: new Date(Date.now() - 8000).toISOString(), to: new Date(Date.now() + 600_000).toISOString(), cameras: ['cam04'] });
  await visit(page, `#/incidents/${made.id}/copy`);
  await has(page, 'Videonya belum diamankan');
  await page.click('button:has-text("Buat salinan tontonan")');
  await has(page, 'Menunggu video selesai diamankan');
  await page.click('button:has-text("Batalkan")');
  await page.click('dialog button.danger');
  await has(page, 'Dibatalkan atau ditarik kembali');
  await visit(page, `#/incidents/${incident}`);
  const panel = (title) => page.locator('section.panel', { has: page.locator(`h2:text-is("${title}")`) });
  await panel('Salinan tontonan').locator(`a[href="#/packages/${copy}"]`).waitFor();
  check(await panel('Paket bukti').locator(`a[href="#/packages/${copy}"]`).count() === 0, 'a copy among the evidence');
  const share = await server.api('POST', `/exports/${copy}/shares`, { days: 1 });
  const witness = await browser.page({ width: 360, height: 800 });
  await witness.goto(`${server.base}${share.path}`);
  await witness.waitForSelector('h1:text-is("Salinan tontonan, bukan bukti")');
  check(!/berita acara|Sidik jari|Rekaman asli kamera/.test(await witness.textContent('main')), 'the page of the link takes it for evidence');
  check((await axe(witness, 'link of a copy')).length === 0 && witness.problems.length === 0, witness.problems.join('\n'));
  await witness.context().close();
});

/* ------------------------------ links ------------------------------ */

let link = '';

test('a link is made with PIN, end and limit, and shown once', async () => {
  await visit(page, `#/packages/${pack}`);
  await page.click('button:has-text("Buat tautan")');
  await page.fill('dialog input[name=note]', 'Bripka Hadi & <Rini>');
  await page.selectOption('dialog select[name=times]', '3');
  const pin = await page.inputValue('dialog input[inputmode=numeric]');
  check(/^\d{6}$/.test(pin), `PIN ${pin}`);
  await page.click('dialog button.primary');
  await page.waitForSelector('dialog .qr');
  link = await page.textContent('dialog .copy code');
  check((await page.textContent('dialog .pin')) === pin, 'another PIN is shown');
  check(link.startsWith(`${server.base}/e/`), link);
  await page.click('dialog button:has-text("Sudah dicatat")');
  await has(page, 'diunduh 0 dari 3 kali');
  check(!(await page.content()).includes(link.split('/').pop()), 'the link can still be read');
  link = `${link} ${pin}`;
});

test('the officer needs no account: PIN, plain words, the file', async () => {
  const [url, pin] = link.split(' ');
  for (const [size, scheme] of [[{ width: 360, height: 800 }, 'light'], [{ width: 1280, height: 800 }, 'dark']]) {
    const officer = await browser.page({ ...size, scheme });
    await officer.goto(url);
    check(!(await officer.textContent('body')).includes('Motor hilang'), 'the incident is named before the PIN');
    const bad = await axe(officer, 'PIN');
    if (scheme === 'light') {
      await officer.fill('input[name=pin]', '1');
      await officer.click('button');
      await has(officer, 'PIN salah');
    }
    await officer.fill('input[name=pin]', pin);
    await officer.click('button');
    await has(officer, 'Bripka Hadi & <Rini>');
    await has(officer, 'WIB');
    bad.push(...(await axe(officer, 'download')));
    check(bad.length === 0, bad.join('\n'));
    check(await officer.evaluate(() => document.documentElement.scrollWidth) <= size.width, 'wider than the screen');
    if (scheme === 'light') {
      await officer.click('header a');
      await has(officer, 'Recorded evidence');
    } else {
      const [download] = await Promise.all([officer.waitForEvent('download'), officer.click('a.go')]);
      const { size: bytes } = await server.api('GET', `/exports/${pack}`);
      check(readFileSync(await download.path()).length === bytes, 'the file is not the package');
    }
    check(officer.problems.filter((t) => !t.includes('403')).length === 0, officer.problems.join('\n')); // Chromium logs the wrong PIN
    await officer.context().close();
  }
});

test('who opened it is shown; revoked, it is gone at once', async () => {
  await visit(page, '#/packages');
  await visit(page, `#/packages/${pack}`);
  await has(page, 'diunduh 1 dari 3 kali');
  await page.click('button[aria-label^="Siapa membukanya"]');
  await page.waitForSelector('dialog >> text=PIN salah');
  await page.waitForSelector('dialog >> text=Diunduh');
  await page.keyboard.press('Escape');
  await page.click('button[aria-label^="Cabut tautan"]');
  await page.click('dialog button.danger');
  await page.waitForSelector('.badge:has-text("dicabut")');
  const officer = await browser.page();
  await officer.goto(link.split(' ')[0]);
  await has(officer, 'Tautan ini tidak berlaku lagi');
  await officer.context().close();
});

/* ------------------------------ roles ------------------------------ */

test('police see what was shared with them and nothing else', async () => {
  const p = await browser.page({ width: 390, height: 844 });
  await enter(p, server, '#/live', POLICE, WORD);
  await has(p, 'Belum ada yang dibagikan kepada Anda');
  check((await p.locator('.nav-item').allTextContents()).join() === 'Insiden,Lainnya', 'the menu of police');
  for (const hash of [`#/incidents/${incident}`, `#/packages/${pack}`]) { // a link that came before the leave
    await visit(p, hash);
    await has(p, 'Tidak ditemukan, atau belum dibagikan kepada Anda');
  }
  await visit(p, '#/tidak-ada-halaman-ini');
  await has(p, 'Belum ada yang dibagikan kepada Anda');
  p.problems.length = 0; // Chromium logs the 404s
  await visit(page, `#/incidents/${incident}`);
  await page.check(`label:has-text("${POLICE}") input`);
  await until('shared', 4, async () => (await server.api('GET', `/incidents/${incident}`)).shared_with.includes(POLICE));
  await visit(p, '#/more');
  await p.waitForSelector('.menu-list a');
  check((await p.locator('.menu-list a').allTextContents()).join() === 'Akun saya', 'police see settings');
  await visit(p, '#/incidents');
  await p.click('.case');
  await has(p, 'Pemilik melapor');
  check(await p.locator('button:has-text("Amankan"), button:has-text("Hapus"), .mark-card').count() === 0, 'police can change it');
  await p.click('.case');
  await p.waitForSelector('a:has-text("Unduh paket")');
  check(await p.locator('button:has-text("Buat tautan"), button:has-text("Tarik")').count() === 0, 'police can share it');
  for (const hash of ['#/timeline', '#/clip', '#/events', '#/admin/users', '#/admin/cameras', '#/admin/audit']) {
    await visit(p, hash);
    await has(p, 'Anda tidak berhak');
  }
  check(p.sockets.length === 0, 'police open the live connection');
  check(p.problems.length === 0, p.problems.join('\n'));
  await p.context().close();
});

test('volunteers watch and mark: no clips, no incidents, no settings', async () => {
  const p = await browser.page({ width: 390, height: 844 });
  await enter(p, server, '#/live', GUARD, WORD);
  await p.waitForSelector('.nav-item');
  check((await p.locator('.nav-item').allTextContents()).join().replace(/\d+\+?/, '') === 'Langsung,Rekaman,Kejadian,Lainnya', 'the menu of volunteers');
  for (const hash of ['#/clip', '#/incidents', `#/incidents/${incident}`, `#/packages/${pack}`, '#/admin/users', '#/admin/audit', '#/admin/logs']) {
    await visit(p, hash);
    await has(p, 'Anda tidak berhak');
  }
  check(p.problems.length === 0, p.problems.join('\n'));
  await visit(p, '#/timeline?cam=cam01&t=2026-01-01T00:00:00.000Z');
  await has(p, 'Relawan hanya melihat rekaman terbaru');
  await p.context().close();
});

/* ------------------------------ accounts ------------------------------ */

/** RFC 6238 for the secret that the page shows. */
function totp(secret, now = Date.now()) {
  let bits = '';
  for (const c of secret.replaceAll(/[ =]/g, '')) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

test('an invitation makes one account, chosen by the one who was invited', async () => {
  await visit(page, '#/admin/users');
  await page.click('button:has-text("Buat undangan")');
  await page.fill('dialog input[name=note]', 'Pak Budi, RT 3');
  check(!(await page.locator('dialog select').first().textContent()).includes('Administrator'), 'a head can make administrators');
  await page.uncheck('dialog label:has-text("Semua kamera") input');
  await page.check('dialog label:has-text("Gang Melati") input');
  await page.click('dialog button.primary');
  await page.waitForSelector('dialog .qr');
  const url = await page.textContent('dialog .copy code');
  await page.click('dialog button:has-text("Sudah dicatat")');
  const p = await browser.page({ width: 360, height: 800 });
  await p.goto(url);
  await has(p, 'Anda diundang sebagai Relawan');
  await p.fill('input[name=username]', GUARD);
  await p.fill('input[name=password]', 'burung-gagak-hitam');
  await p.fill('input[name=again]', 'burung-gagak-hitam');
  await p.click('button.primary');
  await has(p, 'Nama itu sudah dipakai');
  await p.fill('input[name=username]', 'pak-budi');
  await p.click('button.primary');
  await p.waitForSelector('.tile[data-camera=cam02]');
  check(await p.locator('.tile').count() === 1, 'more cameras than were given');
  await p.goto('about:blank');
  await p.goto(url);
  await has(p, 'Undangan ini tidak berlaku lagi');
  await p.context().close();
  await visit(page, '#/more');
  await visit(page, '#/admin/users');
  await has(page, 'dipakai oleh pak-budi');
});

test('a code of the telephone is set up with a QR code and then asked for', async () => {
  const p = await browser.page({ width: 390, height: 844 });
  await enter(p, server, '#/account', 'pak-budi', 'burung-gagak-hitam');
  await p.click('button:has-text("Aktifkan kode")');
  await p.waitForSelector('dialog .qr');
  const secret = await p.textContent('dialog .copy code');
  await p.fill('dialog input[name=code]', '000000');
  await p.click('dialog button.primary');
  await has(p, 'Kode salah');
  await p.fill('dialog input[name=code]', totp(secret));
  await p.click('dialog button.primary');
  await p.waitForSelector('.badge.ok:has-text("aktif")');
  await visit(p, '#/more');
  await p.click('button:has-text("Keluar")');
  await p.waitForSelector('input[name=password]');
  await p.fill('input[name=username]', 'pak-budi');
  await p.fill('input[name=password]', 'burung-gagak-hitam');
  await p.click('form button.primary');
  await p.waitForSelector('input[name=code]');
  check(await p.locator('.form-error').count() === 0, 'asking for the code looks like a failure');
  // Each code opens one session only; the one of the next half minute is good already.
  await p.fill('input[name=code]', totp(secret, Date.now() + 30_000));
  await p.click('form button.primary');
  await p.waitForSelector('.shell');
  await visit(p, '#/account');
  await p.click('button:has-text("Matikan kode")');
  await p.fill('dialog input[name=password]', 'salah-sekali');
  await p.click('dialog button.danger');
  await has(p, 'salah');
  await p.fill('dialog input[name=password]', 'burung-gagak-hitam');
  await p.click('dialog button.danger');
  await p.waitForSelector('.badge:has-text("belum aktif")');
  await p.context().close();
});

test('one sees where one is logged in, and ends one or all', async () => {
  const a = await browser.page();
  const b = await browser.page();
  await enter(a, server, '#/account', GUARD, WORD);
  await enter(b, server, '#/account', GUARD, WORD);
  await visit(a, '#/more');
  await visit(a, '#/account');
  await a.waitForSelector('button:has-text("Keluarkan")');
  await has(a, 'Chrome di Linux');
  await has(a, 'dari 127.0.0.1');
  const before = await a.locator('button:has-text("Keluarkan")').count();
  await a.locator('button:has-text("Keluarkan")').first().click();
  await a.click('dialog button.danger');
  await until('one fewer', 4, async () => (await a.locator('button:has-text("Keluarkan")').count()) === before - 1);
  await a.click('button:has-text("Keluar di semua perangkat")');
  await a.click('dialog button.danger');
  await a.waitForSelector('input[name=username]');
  check(await a.locator('text=Sesi Anda berakhir').count() === 0, 'it looks as if the session had expired');
  await b.reload();
  await b.waitForSelector('input[name=username]');
  await a.context().close();
  await b.context().close();
});

test('the password is changed, and users are changed and removed', async () => {
  await visit(page, '#/admin/users');
  await page.click('button:has-text("Tambah pengguna")');
  await page.fill('dialog input[name=username]', 'bu-ani');
  await page.fill('dialog input[name=password]', 'password');
  await page.click('dialog button.primary');
  await has(page, 'bukan yang umum');
  await page.fill('dialog input[name=password]', 'sawah-hijau-77');
  await page.click('dialog button.primary');
  await page.click('.menu-list button:has-text("bu-ani")');
  await page.uncheck('dialog label:has-text("Semua kamera") input');
  await page.check('dialog label:has-text("Jalan Sawah") input');
  await page.click('dialog button.primary');
  await page.waitForSelector('.menu-list button:has-text("bu-ani"):has-text("1 kamera")');
  check(await page.locator('.menu-list button:has-text("admin")').count() === 0, 'a head can change administrators');
  const p = await browser.page();
  await enter(p, server, '#/account', 'bu-ani', 'sawah-hijau-77');
  await p.fill('input[name=old]', 'sawah-hijau-77');
  for (const name of ['next', 'again']) await p.fill(`input[name=${name}]`, 'padi-kuning-88');
  await p.click('button:has-text("Ganti kata sandi")');
  await p.waitForSelector('.toast:has-text("sudah diganti"), .toast:has-text("diganti")');
  await p.context().close();
  await page.click('.menu-list button:has-text("bu-ani")');
  await page.click('dialog button:has-text("Hapus")');
  await page.click('dialog button.danger:has-text("Hapus")');
  await until('it is gone', 4, async () => (await page.locator('.menu-list >> text=bu-ani').count()) === 0);
});

/* ------------------------------ the audit log ------------------------------ */

test('the audit log tells in plain words who did what, and is whole', async () => {
  await visit(page, '#/admin/audit');
  await has(page, 'mencatat insiden: #1, Motor hilang di <b>Gang</b> Melati');
  await has(page, 'membuat paket bukti: #1, Bripka Hadi Santoso');
  await page.click('button:has-text("Periksa keutuhan")');
  await has(page, 'Utuh:');
  await page.selectOption('.audit-filter select >> nth=0', GUARD);
  await page.selectOption('.audit-filter select >> nth=1', 'live');
  await until('only these', 5, () => page.evaluate(() => {
    const rows = [...document.querySelectorAll('.audit-row .what')].map((x) => x.textContent);
    return rows.length > 0 && rows.every((r) => r.startsWith('pak-slamet menonton langsung: '));
  }));
  await page.locator('.audit-row button').first().press('Enter');
  await page.waitForSelector('.audit-row .more >> text=127.0.0.1');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('a:has-text("Unduh tabel")')]);
  const table = readFileSync(await download.path(), 'utf8').trim().split('\r\n');
  check(table[0].startsWith('id,time,who') && table.length > 1 && table.slice(1).every((l) => l.includes('"live"')), table.slice(0, 3).join('\n'));
  await page.fill('.audit-filter input[type=date] >> nth=1', '2020-01-01');
  await has(page, 'Tidak ada catatan');
});

eraseTests(() => ({ browser, server }), HEAD, WORD);

/* ------------------------------ storage and log ------------------------------ */

test('the storage page says how long recordings last, how the disk is and what the vault holds', async () => {
  await visit(page, '#/admin/system');
  await has(page, 'Mulai ditimpa');
  await page.waitForSelector('dd:has-text("kosong dari")');
  await page.waitForSelector('h2:has-text("Brankas bukti")');
  const { disks, rings, clock } = await server.api('GET', '/system');
  await page.waitForSelector(clock.synchronised ? 'dd:has-text("tersetel")' : 'dd .badge.warn:has-text("belum disetel")');
  check(disks.length === rings.length && disks[0].ring === 'video' && disks[0].total_bytes > 0, JSON.stringify(disks));
});

test('the log is told in words, with the recorder’s own line below', async () => {
  const p = await browser.page();
  await enter(p, server, '#/admin/logs');
  await has(p, 'Gerbang Utara: gambar masuk');
  await p.fill('input[type=search]', 'listening on port');
  await has(p, 'Perekam mulai dengan 4 kamera');
  check(await p.locator('.raw').count() === 1, 'the search did not narrow the lines');
  check(p.problems.length === 0, p.problems.join('\n'));
  await p.context().close();
});

/* ------------------------------ zones ------------------------------ */

test('corners of a zone are moved by keys and by the pointer, and stored', async () => {
  const id = 'lapangan';
  await server.api('POST', '/cameras', { id, name: 'Lapangan', main: cameras.url(0, 'main'), enabled: false });
  const p = await browser.page();
  await enter(p, server, `#/admin/cameras/${id}`);
  await p.click('button:has-text("Daerah")');
  await p.focus('.handle[aria-label="Titik 1"]');
  for (const key of ['ArrowLeft', 'ArrowUp']) await p.keyboard.press(key); // 0.3, 0.3 to begin with
  const board = await p.locator('.draw').boundingBox();
  const corner = await p.locator('.handle >> nth=2').boundingBox();
  await p.mouse.move(corner.x + corner.width / 2, corner.y + corner.height / 2);
  await p.mouse.down();
  await p.mouse.move(board.x + board.width * 0.9, board.y + board.height * 0.8, { steps: 4 });
  await p.mouse.up();
  const save = p.locator('section', { has: p.locator('.draw') }).locator('button:has-text("Simpan")');
  const name = p.locator('section .panel input').first();
  await name.fill('');
  await save.click();
  await p.waitForSelector('.form-error:has-text("perlu nama")');
  await name.fill('Gang');
  await p.fill('input[placeholder="22:00-05:00"]', '22-5');
  await save.click();
  const points = await until('stored', 5, async () => (await server.api('GET', `/cameras/${id}`)).rules?.zones?.[0]?.points);
  check((await server.api('GET', `/cameras/${id}`)).rules.zones[0].hours.join() === '22:00-05:00', 'the hours as they were typed');
  check(points[0].join() === '0.29,0.29' && Math.abs(points[2][0] - 0.9) < 0.01 && Math.abs(points[2][1] - 0.8) < 0.01, JSON.stringify(points));
  await server.api('DELETE', `/cameras/${id}`);
  check(p.problems.length === 0, p.problems.join('\n'));
  await p.context().close();
});

/* ------------------------------ trouble ------------------------------ */

test('an ended session leads back to the incident; a server that is away is said', async () => {
  await visit(page, `#/incidents/${incident}`);
  await page.waitForSelector('.steps');
  await page.context().clearCookies();
  await visit(page, '#/packages');
  await page.waitForSelector('text=Sesi Anda berakhir');
  await page.fill('input[name=username]', HEAD);
  await page.fill('input[name=password]', WORD);
  await page.click('form button.primary');
  await page.waitForSelector('.case');
  await server.stop();
  await visit(page, '#/incidents');
  await has(page, 'Perekam tidak dapat dihubungi');
  await server.run();
  await page.waitForSelector('.case'); // by itself
  page.problems.length = 0; // Chromium logs the 401 and refused connections
  await visit(page, '#/incidents/999');
  await has(page, 'Tidak ditemukan');
  page.problems.length = 0;
});

/* ------------------------------ the first start ------------------------------ */

test('the first start leads through password, disk and cameras', async () => {
  const fresh = await Server.start(null, { password: null });
  try {
    const made = /password '([0-9a-f]+)'/.exec(fresh.log())?.[1];
    check(made, `no password was printed: ${fresh.log()}`);
    const p = await browser.page({ width: 390, height: 844 });
    await enter(p, fresh, '#/live', 'admin', made);
    await p.waitForURL(/#\/setup/);
    await has(p, 'Kata sandi ini dibuat oleh perekam');
    await p.fill('input[name=old]', made);
    for (const name of ['next', 'again']) await p.fill(`input[name=${name}]`, 'kampung-aman-91');
    await p.click('form button.primary');
    await has(p, 'Perekam dapat menulis ke disk ini');
    const { clock } = await server.api('GET', '/system');     // of this machine, whichever recorder tells it
    check(await p.locator('text=Jam perekam belum disetel').count() === (clock.synchronised ? 0 : 1), `the clock is synchronised: ${clock.synchronised}`);
    if (screens > 0) await p.screenshot({ path: join(process.argv[screens + 1], 'setup-id-phone.jpg'), type: 'jpeg', quality: 62 });
    await p.click('button:has-text("Lanjut")');
    await has(p, 'Belum ada kamera');
    await p.click('a:has-text("Dengan alamat")');
    await p.fill('input[name=name]', 'Gerbang');
    await p.fill('input[name=main]', cameras.url(0, 'main'));
    await p.click('form button.primary:has-text("Simpan")');
    await p.waitForURL(/#\/setup/);
    await p.waitForSelector('.plain-list >> text=Gerbang');
    await p.click('button.primary:has-text("Selesai")');
    await has(p, 'Perekam siap');
    await p.goto(`${fresh.base}/`);
    await p.waitForSelector('.tile');
    check(!p.url().includes('setup'), 'the first steps come again');
    check(p.problems.length === 0, p.problems.join('\n'));
    await p.context().close();
  } finally {
    await fresh.stop();
  }
});

/* ------------------------------ for everybody ------------------------------ */

const routes = () => ['#/incidents', '#/incidents/new', `#/incidents/${incident}`, `#/incidents/${incident}/copy`, '#/packages', `#/packages/${pack}`, `#/packages/${copy}`, '#/account',
  '#/admin/users', '#/admin/audit', '#/admin/system', '#/admin/logs', '#/setup', '#/more'];

/** Controls that a thumb does not hit: smaller than 44 px, but for links inside text. */
const smallTargets = (p) => p.evaluate(() => [...document.querySelectorAll('.content button, .content a[href], .content select, .content input, .bar .btn')]
  .filter((e) => e.getClientRects().length && !e.closest('p, dd, .sr') && !(e.type === 'checkbox' && e.closest('label')))
  .map((e) => ({ r: e.getBoundingClientRect(), t: e.ariaLabel ?? e.textContent ?? e.name })).filter((x) => x.r.width < 24 || x.r.height < 42).map((x) => `${x.t} ${Math.round(x.r.width)}x${Math.round(x.r.height)}`));

for (const [kind, size] of [['desktop, dark', { width: 1280, height: 800 }], ['phone, light', { width: 360, height: 800, scheme: 'light', language: 'en' }]]) {
  test(`every page about people is free of accessibility defects and fits (axe, ${kind})`, async () => {
    const p = await browser.page(size);
    await enter(p, server);
    const bad = [];
    for (const route of routes()) {
      await visit(p, route);
      await pause(900);
      bad.push(...(await axe(p, route)));
      const wide = await p.evaluate(() => document.documentElement.scrollWidth);
      if (wide > size.width) bad.push(`${route} is ${wide} px wide`);
      if (size.width < 720) bad.push(...(await smallTargets(p)).map((x) => `${route}: small ${x}`));
    }
    for (const [route, button] of [[`#/incidents/${incident}`, 'Make an evidence|Buat paket'], [`#/packages/${pack}`, 'Make a link|Buat tautan'], ['#/admin/users', 'Invite|Buat undangan'], ['#/account', 'Turn on the code|Aktifkan kode']]) {
      await visit(p, route);
      await p.locator('button', { hasText: new RegExp(button) }).click();
      await pause(500);
      bad.push(...(await axe(p, `${route}, dialog`)));
      await p.keyboard.press('Escape');
    }
    check(bad.length === 0, `\n${bad.join('\n')}`);
    check(p.problems.length === 0, p.problems.join('\n'));
    await p.context().close();
  });
}

test('no error reached the console', async () => {
  check(page.problems.length === 0, page.problems.join('\n'));
  check(page.foreign.length === 0, `foreign: ${page.foreign}`);
});

async function takeScreens(folder) {
  mkdirSync(folder, { recursive: true });
  await server.api('PATCH', `/incidents/${incident}`, { title: 'Motor hilang di Gang Melati' });
  const { path } = await server.api('POST', `/exports/${pack}/shares`, { days: 7, max_downloads: 3, note: 'Bripka Hadi, Polsek Kemang' });
  const places = [['incidents', '#/incidents'], ['incident', `#/incidents/${incident}`], ['incident-new', '#/incidents/new'], ['packages', '#/packages'],
    ['package', `#/packages/${pack}`], ['copy', `#/packages/${copy}`], ['account', '#/account'], ['users', '#/admin/users'], ['audit', '#/admin/audit'], ['system', '#/admin/system'], ['logs', '#/admin/logs'], ['setup', '#/setup']];
  for (const language of ['id', 'en'])
    for (const [size, room] of Object.entries({ desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 800 } })) {
      const scheme = size === 'phone' && language === 'en' ? 'light' : 'dark';
      const p = await browser.page({ ...room, language, scheme });
      const shot = (name) => p.screenshot({ path: join(folder, `${name}-${language}-${size}.jpg`), type: 'jpeg', quality: 62 });
      await enter(p, server);
      for (const [name, hash] of places) {
        if (name === 'setup' && language === 'id' && size === 'phone') continue; // taken at the first start itself
        await visit(p, hash);
        await pause(1000);
        await shot(name);
      }
      await visit(p, `#/packages/${pack}`);
      await p.locator('button', { hasText: /Make a link|Buat tautan/ }).click();
      await pause(400);
      await shot('link');
      await p.keyboard.press('Escape');
      await visit(p, `#/incidents/${incident}/copy`);
      await p.locator('.draw').first().waitFor();
      await p.locator('button', { hasText: /Add a box|Tambah kotak/ }).first().click();
      await pause(600);
      await shot('copy-new');
      await visit(p, '#/account');
      await p.locator('button', { hasText: /Turn on the code|Aktifkan kode/ }).click();
      await pause(600);
      await shot('totp');
      await eraseScreens(p, shot, language);
      await p.goto(`${server.base}${path}?lang=${language}`);
      await shot('officer');
      await p.context().close();
    }
}

if (screens > 0) test('pictures of every page, in two languages and two sizes', () => takeScreens(process.argv[screens + 1]));

await run(setup, teardown, process.argv.slice(2).filter((a, i, all) => !a.startsWith('--') && all[i - 1] !== '--screens'));
