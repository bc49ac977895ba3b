/*
 * firefox.mjs - the way through the app in Debian's Firefox ESR, driven over WebDriver BiDi: what only one
 * browser understands is found here. All that is not the browser's own is tested in Chromium.
 *
 *   node firefox.mjs [WORD…]          only promises that hold one of the words
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, Cameras, check, checkTime, enter, frames, note, pause, run, Server, test, until, visit } from './kt.mjs';
import { STRIP_SOURCE } from './strip.mjs';

const N = 4;
let cameras;
let server;
let browser;
let page;

async function setup() {
  browser = await Browser.firefox();
  cameras = await Cameras.start(N);
  server = await Server.start(cameras);
  await until('all cameras record', 20, async () => (await server.api('GET', '/cameras')).items.every((c) => c.recording));
  page = await browser.page();
  await page.addInitScript(`window.readStrip = ${STRIP_SOURCE}`);
}

async function teardown() {
  await browser?.close();
  await server?.stop().catch(() => undefined);
  cameras?.process.kill();
}

/** Seconds by which the N pictures in SELECTOR differ from what the cameras show now. */
const lags = (selector) => until('the clock in every picture is read', 5, async () => {
  const seen = await page.evaluate((sel) => [...document.querySelectorAll(sel)].map((box) => ({
    camera: box.dataset.camera, tick: window.readStrip(box.querySelector('video')), wall: Date.now() })), selector);
  return seen.length === N && seen.every((s) => s.tick !== null) &&
    seen.map(({ camera, tick, wall }) => cameras.lag(Number(camera.slice(3)) - 1, tick, wall));
});

test('Firefox: after logging in the wall moves, and shows what happens now', async () => {
  await enter(page, server);
  await until('all tiles play', 15, async () => (await frames(page)).filter((n) => n > 10).length === N);
  const before = await frames(page);
  await pause(2000);
  const rates = (await frames(page)).map((n, i) => (n - before[i]) / 2);
  const back = await lags('.tile');
  note(`wall: ${rates.map((r) => r.toFixed(1)).join(' ')} frames a second, ${back.map((x) => x.toFixed(2)).join(' ')} s behind`);
  checkTime(rates.every((r) => r > 7) && back.every((x) => Math.abs(x) < 1.5), 'tiles are slow or late');
  check(page.sockets.length <= 1, `${page.sockets.length} WebSockets`);
});

test('Firefox: a tap shows the main stream', async () => {
  await page.click('.tile[data-camera=cam02]');
  await until('the main stream plays', 8, () => page.evaluate(() => document.querySelector('.solo video')?.videoWidth === 1920));
  await page.keyboard.press('Escape');
  await page.waitForSelector('.tiles .tile');
});

test('Firefox: the timeline opens at a moment and four recordings play on from there', async () => {
  await until('a while is recorded', 30, async () => {
    const now = Date.now();
    const { cameras: [row] } = await server.api('GET', `/timeline?camera=cam01&from=${new Date(now - 60_000).toISOString()}&to=${new Date(now).toISOString()}&buckets=60`);
    return row.spans.some((x) => now - Date.parse(x.from) > 17_000);
  }, 500);
  const ids = ['cam01', 'cam02', 'cam03', 'cam04'];
  const t = Date.now() - 14_000;
  await visit(page, `#/timeline?cam=${ids.join(',')}&t=${new Date(t).toISOString()}&span=120`);
  for (const id of ids) await page.waitForSelector(`.tl-view[data-camera=${id}][data-state=ready]`);
  await pause(300);
  const off = (await lags('.tl-view')).map((x) => x - (Date.now() - t) / 1000);
  checkTime(off.every((x) => Math.abs(x) < 1.2), `after the seek the pictures are ${off.map((x) => x.toFixed(2))} s off`);
  const before = await lags('.tl-view');
  await page.keyboard.press(' ');
  await pause(3000);
  await page.keyboard.press(' ');
  const after = await lags('.tl-view');
  note(`four recordings: ${before.map((x) => x.toFixed(2)).join(' ')} s back, after 3 s of playing ${after.map((x) => x.toFixed(2)).join(' ')}`);
  checkTime(after.every((x, i) => x - before[i] < 1.5), 'playing fell behind');
  checkTime(Math.max(...after) - Math.min(...after) < 0.6, 'the four are apart');
});

test('Firefox: a clip is downloaded, with its name', async () => {
  const to = Date.now() - 8000;
  await visit(page, `#/clip?cam=cam01&in=${new Date(to - 6000).toISOString()}&out=${new Date(to).toISOString()}`);
  await until('a preview', 8, () => page.evaluate(() => [...document.querySelectorAll('.draw video')].some((v) => v.duration > 3)));
  await page.click('text=Unduh 1 video');
  // BiDi does not tell of what is saved from a blob: the folder does.
  const name = await until('the file is there', 10, () => readdirSync(browser.downloads).find((n) => /^cam01_.*_WIB\.mp4$/.test(n)));
  const file = join(browser.downloads, name);
  await until('it is whole', 5, () => statSync(file).size > 500_000);
  check(readFileSync(file).subarray(4, 8).toString() === 'ftyp', 'not an MP4');
});

test('Firefox: events, cameras and the system open without an error', async () => {
  for (const [hash, sign] of [['#/events', '.filters'], ['#/admin/cameras', 'text=Gerbang Utara'], ['#/admin/system', `text=${N}/${N}`], ['#/incidents', 'h1'], ['#/more', 'h1']]) {
    await visit(page, hash);
    await page.waitForSelector(sign);
  }
  check(page.problems.length === 0, page.problems.join('\n'));
});

await run(setup, teardown);
