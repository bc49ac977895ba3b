/*
 * history.mjs - the timeline over a month of forty cameras, made by tests/bench/history.c: how long it takes
 * to ask, to open and to zoom, and that what is drawn is there at every scale.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, BUILD, check, checkTime, enter, note, pause, programCpu, run, Server, Skip, test, until } from './kt.mjs';

const N = 40;
const DAYS = 30;
const DAY = 86_400_000;
const HISTORY = join(BUILD, 'tests/bench/history');
const nobody = { n: N, url: (i, kind) => `rtsp://127.0.0.1:9/cam${i}/${kind}` }; // cameras that are away: only the past counts
let server;
let browser;
let page;

async function setup() {
  if (!existsSync(HISTORY)) throw new Skip('tests/bench/history is not built');
  browser = await Browser.start();
  const prepare = (folder) => note(`made: ${execFileSync(HISTORY, [`${folder}/video`, String(256 << 20), `${folder}/catalog.db`, String(N), String(DAYS)], { encoding: 'utf8' }).trim()}`);
  server = await Server.start(nobody, { ring: '256 MiB', prepare });
  page = await browser.page({ width: 1366, height: 768 });
  await enter(page, server, '#/more');
}

async function teardown() {
  await browser?.close();
  await server?.stop().catch(() => undefined);
}

const iso = (ms) => new Date(ms).toISOString();
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

test('the timeline of forty cameras is answered within 100 ms from a minute to thirty days', async () => {
  const now = Math.ceil(Date.now() / 1000) * 1000;
  const slow = [];
  for (const [name, span, buckets] of [['30 days', 30 * DAY, 720], ['7 days', 7 * DAY, 1344], ['2 days', 2 * DAY, 2048], ['12 h', DAY / 2, 1536], ['1 h', DAY / 24, 1536], ['1 min', 60_000, 512]]) {
    const times = [];
    let answer;
    const cpu = programCpu(server.process.pid);
    for (let i = 0; i < 7; i++) {
      const started = performance.now();
      answer = await server.api('GET', `/timeline?from=${iso(now - span)}&to=${iso(now)}&buckets=${buckets}`);
      times.push(performance.now() - started);
    }
    const own = ((programCpu(server.process.pid) - cpu) * 1000) / times.length; // what it takes where nobody else runs
    check(answer.cameras.length === N, `${answer.cameras.length} cameras`);
    if (span > 60_000) check(answer.cameras.every((c) => c.spans.length > 0), `${name}: a camera without recordings`);
    if (span >= DAY) check(answer.cameras.every((c) => c.heat.length > 0 && c.events.length > 0), `${name}: no heat or no events`);
    note(`${name}: median ${median(times).toFixed(0)} ms of 7, ${own.toFixed(0)} ms of processor, ${(JSON.stringify(answer).length / 1024).toFixed(0)} kB`);
    check(median(times) < 2000, `${name}: ${median(times)} ms`); // seconds would mean that it looks at everything again
    if (Math.min(median(times), own) > 100) slow.push(`${name}: ${median(times).toFixed(0)} ms`);
  }
  checkTime(slow.length === 0, slow.join(', '));
});

/* In the page: ms until the heat of rows is on the canvas after going to HASH. */
async function openTimeline(hash) {
  const started = performance.now();
  location.hash = hash;
  for (;;) {
    const canvas = document.querySelector('.tl-canvas');
    if (canvas && canvas.width > 300) {
      const px = canvas.getContext('2d').getImageData(0, 0, canvas.width, Math.min(canvas.height, 240)).data;
      let amber = 0;
      for (let i = 0; i < px.length; i += 4) if (Math.abs(px[i] - 242) < 30 && Math.abs(px[i + 1] - 169) < 30 && px[i + 2] < 110) amber++;
      if (amber > 400) return performance.now() - started;
    }
    if (performance.now() - started > 15_000) return null;
    await new Promise((r) => setTimeout(r, 10));
  }
}

test('thirty days of forty cameras are on the screen within a second', async () => {
  const took = await page.evaluate(openTimeline, `#/timeline?cam=cam01&t=${iso(Date.now() - 12 * DAY)}&span=${30 * 86_400}`);
  check(took !== null, 'no heat was drawn');
  note(`open: ${took.toFixed(0)} ms`);
  checkTime(took <= 1000, `${took.toFixed(0)} ms`);
});

/* In the page: zoom in and out by the wheel, one notch a frame; how long frames and notches took. */
async function zoomFrames() {
  const canvas = document.querySelector('.tl-canvas');
  const box = canvas.getBoundingClientRect();
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 240; i++) {
    canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: i < 120 ? -40 : 40, clientX: box.left + box.width / 2, clientY: box.top + 60, bubbles: true, cancelable: true }));
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames.sort((a, b) => a - b);
}

test('zooming from thirty days to seconds and back draws sixty frames a second', async () => {
  let best = 0;
  for (let round = 0; round < 3 && best < 55; round++) {
    const frames = await page.evaluate(zoomFrames);
    const fps = 1000 / (frames.reduce((a, b) => a + b) / frames.length);
    note(`zoom: ${fps.toFixed(1)} frames a second, median ${frames[120].toFixed(1)} ms, 95 % below ${frames[228].toFixed(1)} ms, longest ${frames[239].toFixed(0)} ms`);
    check(fps > 10, `${fps} frames a second`);
    best = Math.max(best, fps);
  }
  checkTime(best >= 55, `${best.toFixed(1)} frames a second`);
});

test('the calendar knows the days with activity, and a typed day goes there', async () => {
  await page.keyboard.press('g');
  await page.waitForSelector('dialog');
  await until('days with activity are marked', 5, async () => (await page.locator('dialog .cal .day i').count()) >= 5);
  const t = Date.now() - 9 * DAY;
  const day = new Date(t + 7 * 3_600_000).toISOString();
  await page.fill('dialog input[type=text]', `${Number(day.slice(8, 10))}/${Number(day.slice(5, 7))} 7.05`);
  await page.keyboard.press('Enter');
  await until('it went there', 4, () => page.evaluate((d) => new URLSearchParams(location.hash.split('?')[1]).get('t')?.startsWith(d), new Date(Date.parse(`${day.slice(0, 10)}T07:05:00+07:00`)).toISOString().slice(0, 16)));
});

test('moving along a month keeps asking little', async () => {
  let requests = 0;
  page.on('request', (r) => { if (r.url().includes('/timeline?')) requests++; });
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press('ArrowRight');
    await pause(60);
  }
  check(requests <= 6, `${requests} requests for twenty small steps`);
});

await run(setup, teardown);
