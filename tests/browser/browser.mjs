/*
 * browser.mjs - the browser app in Debian's Chromium against the real server and eight simulated
 * cameras: what a volunteer, the head of the RW and a policeman do with it.
 *
 *   node browser.mjs [WORD…]          only promises that hold one of the words
 *   node browser.mjs --screens DIR    also leave pictures of every page there
 */
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { axe, Browser, Cameras, check, checkTime, Devices, enter, frames, freePort, note, pause, PASSWORD, run, Server, test, until, visit } from './kt.mjs';
import { clipTests } from './clip.mjs';
import { gapTests, PLAIN, prepareSpeed, speedTests, stumbleTests } from './playback.mjs';
import { takeScreens } from './screens.mjs';
import { STRIP_SOURCE } from './strip.mjs';

const screens = process.argv.indexOf('--screens');

let cameras;
let server;
let browser;
let page; // desktop, Indonesian: most tests go on where the last one was

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))];

async function setup() {
  browser = await Browser.start();
  cameras = await Cameras.start(8);
  server = await Server.start(cameras);
  await until('all cameras record', 20, async () => {
    const { items } = await server.api('GET', '/cameras');
    return items.length === 8 && items.every((c) => c.recording);
  });
  page = await browser.page();
  await page.addInitScript(`window.readStrip = ${STRIP_SOURCE}`);
}

async function teardown() {
  await browser?.close();
  await server?.stop().catch(() => undefined);
  cameras?.process.kill();
}

/** [{camera, tick, wall}] of the pictures on show, each frame once, for SECONDS. */
function watchStrips(p, seconds, selector) {
  return p.evaluate(async ([length, sel]) => {
    const out = [];
    const stop = performance.now() + length * 1000;
    await Promise.all([...document.querySelectorAll(sel)].map((box) => new Promise((done) => {
      const video = box.querySelector('video');
      const each = (now, meta) => {
        const tick = window.readStrip(video);
        // When this frame is on the screen, by the wall clock.
        const wall = performance.timeOrigin + meta.expectedDisplayTime;
        if (tick !== null) out.push({ camera: box.dataset.camera, tick, wall, media: meta.mediaTime });
        if (performance.now() < stop) video.requestVideoFrameCallback(each);
        else done();
      };
      video.requestVideoFrameCallback(each);
      setTimeout(done, length * 1000 + 1500);
    })));
    return out;
  }, [seconds, selector]);
}

const numberOf = (camera) => Number(camera.slice(3)) - 1;

/* ------------------------------ coming in, and the wall ------------------------------ */

test('a wrong password is refused in words, the right one opens the wall', async () => {
  await page.goto(`${server.base}/`);
  await page.waitForSelector('input[name=password]');
  await page.fill('input[name=username]', 'admin');
  await page.fill('input[name=password]', 'salah-sekali');
  await page.click('form button.primary');
  await page.waitForSelector('.form-error');
  check((await page.textContent('.form-error')).includes('salah'), 'no words about the wrong password');
  page.problems.length = 0; // Chromium itself logs the 401
  await page.fill('input[name=password]', PASSWORD);
  await page.click('form button.primary');
  await page.waitForSelector('.tile');
});

test('eight tiles play, over one WebSocket', async () => {
  await until('eight videos show frames', 10, async () => (await frames(page)).filter((n) => n > 5).length === 8);
  const before = await frames(page);
  await pause(3000);
  const after = await frames(page);
  const rates = after.map((n, i) => (n - before[i]) / 3);
  note(`frames a second: ${rates.map((r) => r.toFixed(1)).join(' ')}`);
  check(rates.every((r) => r > 0), `a tile stands still: ${rates}`);
  checkTime(rates.every((r) => r > 8), `a tile does not play at its rate: ${rates}`);
  check(page.sockets.length === 1, `${page.sockets.length} WebSockets`);
  check(await page.locator('.tile .badge.warn').count() === 0, 'a playing tile says it is old');
});

test('tiles show what happens now: median latency at most 0.3 s', async () => {
  await latency('wall, 8 tiles', '.tile', 100);
});

/* Latency from the clock in the picture to the screen; the best of three rounds counts, since
 * other programs run on a test machine too. */
async function latency(what, selector, least) {
  let best = Infinity;
  for (let round = 0; round < 3 && best > 0.3; round++) {
    const seen = await watchStrips(page, 4, selector);
    const lags = seen.map((s) => cameras.lag(numberOf(s.camera), s.tick, s.wall)).filter((x) => Math.abs(x) < 5);
    check(lags.length > 0, 'the clock in the picture was never read');
    note(`${what}: latency median ${(median(lags) * 1000).toFixed(0)} ms, 95 % below ${(quantile(lags, 0.95) * 1000).toFixed(0)} ms, 99 % below ${(quantile(lags, 0.99) * 1000).toFixed(0)} ms (${lags.length} frames)`);
    if (lags.length > least) best = Math.min(best, median(lags)); // else too few to tell
  }
  checkTime(best <= 0.3, `median ${best} s`);
}

test('a click enlarges to the main stream, whose median latency is at most 0.3 s', async () => {
  await page.click('.tile[data-camera=cam02]');
  await until('the main stream plays', 6, () => page.evaluate(() => document.querySelector('.solo video')?.videoWidth === 1920));
  await pause(1500);
  await latency('one camera, main stream', '.solo .tile', 20);
  check(page.sockets.length === 1, 'enlarging opened another WebSocket');
});

test('the first picture of a camera comes within 0.3 s of asking', async () => {
  let best = Infinity;
  for (let round = 0; round < 3 && best > 300; round++) { // other programs run on a test machine too
    const times = [];
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press('Escape');
      await page.waitForSelector('.tiles .tile');
      await pause(300);
      times.push(await page.evaluate(firstPicture, `cam0${i + 1}`));
    }
    note(`first picture after a click: ${times.map((x) => x.toFixed(0)).join(' ')} ms`);
    best = Math.min(best, median(times));
  }
  checkTime(best <= 300, `median ${best.toFixed(0)} ms`);
});

/* In the page: ms from a click on the tile of camera ID to its first decoded frame, large. */
async function firstPicture(id) {
  const start = performance.now();
  document.querySelector(`.tile[data-camera=${id}]`).click();
  for (;;) {
    const v = document.querySelector('.solo video');
    if (v && v.readyState >= 2 && v.getVideoPlaybackQuality().totalVideoFrames > 0) return performance.now() - start;
    await new Promise((r) => setTimeout(r, 5));
  }
}

test('keys: 1 opens the first camera, arrows go on, Escape returns', async () => {
  await page.keyboard.press('Escape');
  await page.waitForSelector('.tiles .tile');
  await page.keyboard.press('1');
  await page.waitForSelector('.solo .tile[data-camera=cam01]');
  await page.keyboard.press('ArrowRight');
  await page.waitForSelector('.solo .tile[data-camera=cam02]');
  await page.keyboard.press('+');
  await until('the picture is larger', 2, () => page.evaluate(() => /scale\(1\.[1-9]/.test(document.querySelector('.solo .stage').style.transform)));
  await page.keyboard.press('0');
  await page.keyboard.press('Escape');
  await page.waitForSelector('.tiles');
});

test('what is out of sight is unsubscribed', async () => {
  await until('eight tiles', 5, async () => (await frames(page)).length === 8);
  await page.selectOption('.bar select', '4');
  await until('four tiles are left', 3, async () => (await server.api('GET', '/system')).viewers.tiles === 4);
  await page.selectOption('.bar select', '0');
  await until('eight tiles are back', 3, async () => (await server.api('GET', '/system')).viewers.tiles === 8);
});

test('after fifty changes of layout no player is left behind', async () => {
  for (let i = 0; i < 50; i++) await page.selectOption('.bar select', i % 2 ? '0' : '1');
  await page.selectOption('.bar select', '0');
  await until('eight tiles', 5, async () => (await server.api('GET', '/system')).viewers.tiles === 8);
  await until('eight play', 8, async () => (await frames(page)).filter((n) => n > 5).length === 8);
  check(page.sockets.length === 1, 'more than one WebSocket');
});

/* ------------------------------ recordings ------------------------------ */

const deckTime = (p) => p.evaluate(() => Date.parse(new URLSearchParams(location.hash.split('?')[1]).get('t')));

let event; // one that the cameras caused

test('something moved, and it is an event with a picture', async () => {
  event = await until('an event has ended', 75, async () => {
    const { items } = await server.api('GET', '/events?type=motion&limit=50');
    return items.find((e) => e.end && e.thumbnail && Date.parse(e.end) < Date.now() - 4000);
  }, 500);
  note(`event ${event.id} at ${event.camera}, ${event.start} to ${event.end}`);
});

test('the timeline shows what was recorded, the heat and the event', async () => {
  await visit(page, `#/timeline?cam=${event.camera}&t=${event.start}&span=120`);
  await page.waitForSelector('.tl-canvas');
  const row = numberOf(event.camera);
  await until('the row is painted', 5, () => page.evaluate((i) => {
    const canvas = document.querySelector('.tl-canvas');
    const c = canvas.getContext('2d');
    const k = canvas.height / (8 * 34);
    const px = c.getImageData(0, Math.round(i * 34 * k), canvas.width, Math.round(34 * k)).data;
    let amber = 0;
    let blue = 0;
    for (let p = 0; p < px.length; p += 4) {
      if (px[p] > 200 && px[p + 1] > 130 && px[p + 1] < 200 && px[p + 2] < 110) amber++;
      if (px[p + 2] > px[p] + 10 && px[p + 2] > 45) blue++;
    }
    return amber > 20 && blue > 200;
  }, row));
});

test('playing an event shows moving frames of that time', async () => {
  await visit(page, '#/events');
  await page.waitForSelector(`.card[data-event="${event.id}"] img`);
  await page.click(`.card[data-event="${event.id}"] a.open`);
  await page.waitForSelector('.tl-view[data-state=ready]');
  const before = (await frames(page))[0];
  await until('a second of it was played', 3, async () => (await frames(page))[0] - before > 15);
  const at = await deckTime(page);
  check(at >= Date.parse(event.start) - 4000 && at < Date.parse(event.end) + 10_000, 'not at the time of the event');
});

/** The play head stands: it may have come to the end by itself. */
async function pauseDeck() {
  if (await page.locator('.play').getAttribute('aria-label') === 'Jeda') await page.keyboard.press(' ');
}

/** Seek to T (ms) paused; the tick on show in each view. */
async function seekTo(cams, t) {
  await visit(page, `#/timeline?cam=${cams.join(',')}&t=${new Date(t).toISOString()}&span=120`);
  const started = Date.now();
  for (const id of cams)
    await page.waitForSelector(`.tl-view[data-camera=${id}][data-state=ready]`);
  return Date.now() - started;
}

const shownTicks = (p) => p.evaluate(() => [...document.querySelectorAll('.tl-view')]
  .map((v) => ({ camera: v.dataset.camera, tick: window.readStrip(v.querySelector('video')) })));

test('a seek shows the frame of that moment', async () => {
  await until('half a minute is recorded', 45, async () => {
    const now = Date.now();
    const { cameras: [row] } = await server.api('GET', `/timeline?camera=cam01&from=${new Date(now - 600_000).toISOString()}&to=${new Date(now).toISOString()}&buckets=600`);
    return row.spans.some((x) => now - Date.parse(x.from) > 45_000);
  }, 1000);
  await pauseDeck();
  const costs = [];
  for (const back of [20_000, 9000, 15_500, 12_300]) {
    const t = Math.round((Date.now() - back) / 1000) * 1000 + 20;
    costs.push(await seekTo([event.camera], t));
    const off = async () => {
      const [{ tick }] = await shownTicks(page);
      return tick === null ? NaN : cameras.lag(numberOf(event.camera), tick, t);
    };
    await until(`the picture of that moment is shown, and not one ${(await off()).toFixed(2)} s off`, 3, async () => Math.abs(await off()) < 0.25);
    await pause(300);
    check(Math.abs(await off()) < 0.25, `${(await off()).toFixed(2)} s off after a seek`);
  }
  note(`seek until the picture is there: ${costs.join(' ')} ms`);
});

test('stepping moves one frame at a time, both ways', async () => {
  const t = Date.now() - 15_000;
  await seekTo([event.camera], t);
  await pause(500);
  const shown = async () => (await shownTicks(page))[0].tick;
  const ticks = [];
  let last = await shown();
  for (const key of ['.', '.', '.', ',', ',']) {
    await page.keyboard.press(key);
    await until(`another picture after ${key}`, 3, async () => ![null, last].includes(await shown()));
    await pause(100); // and no further one
    ticks.push(last = await shown());
  }
  const moves = ticks.slice(1).map((x, i) => x - ticks[i]);
  note(`ticks of 1/30 s: ${ticks.join(' ')}`);
  check(moves[0] === 2 && moves[1] === 2 && moves[2] === -2 && moves[3] === -2, `steps of ${moves} ticks, expected 2 2 -2 -2`);
});

test('four cameras play in sync on one clock', async () => {
  const four = ['cam01', 'cam02', 'cam03', 'cam04'];
  await seekTo(four, Date.now() - 25_000);
  await page.keyboard.press(' ');
  await pause(4000);
  const seen = await watchStrips(page, 3, '.tl-view');
  await page.keyboard.press(' ');
  // Wall time of each frame on show: how far the recording lies back, per camera.
  const back = four.map((id) => {
    const mine = seen.filter((s) => s.camera === id).map((s) => cameras.lag(numberOf(id), s.tick, s.wall));
    check(mine.length > 15, `${id}: only ${mine.length} frames`);
    return median(mine);
  });
  const spread = Math.max(...back) - Math.min(...back);
  note(`four in sync: ${(spread * 1000).toFixed(0)} ms between the first and the last`);
  checkTime(spread < 0.25, `spread ${spread} s`);
});

/* In the page: move the hand on the play head to eight places; ms from each move to a picture of there. */
async function scrubTimes() {
  const head = document.querySelector('.tl-handle');
  const canvas = document.querySelector('.tl-view canvas');
  const c = canvas.getContext('2d');
  const box = head.getBoundingClientRect();
  const send = (type, x) => head.dispatchEvent(new PointerEvent(type, { pointerId: 1, pointerType: 'mouse', button: 0, buttons: 1, clientX: x, clientY: box.top + 10, bubbles: true, cancelable: true }));
  head.setPointerCapture = () => undefined; // there is no real pointer to capture
  const times = [];
  let drawn = 0;
  const draw = c.constructor.prototype.drawImage;
  c.constructor.prototype.drawImage = function (...a) {
    if (this.canvas === canvas) drawn++;
    return draw.apply(this, a);
  };
  send('pointerdown', box.left + box.width / 2);
  for (let i = 1; i <= 8; i++) {
    const before = drawn;
    const started = performance.now();
    send('pointermove', box.left + box.width / 2 - i * 40);
    while (drawn === before && performance.now() - started < 3000) await new Promise((r) => setTimeout(r, 2));
    times.push(performance.now() - started);
    await new Promise((r) => setTimeout(r, 60));
  }
  const shown = !canvas.classList.contains('hidden');
  send('pointerup', box.left + box.width / 2 - 320);
  c.constructor.prototype.drawImage = draw;
  return { times, shown };
}

test('the hand on the play head sees a key frame of there within 100 ms', async () => {
  let best = Infinity;
  for (let round = 0; round < 3 && best > 100; round++) {
    await seekTo(['cam01'], Date.now() - 10_000);
    await pause(500);
    const { times, shown } = await page.evaluate(scrubTimes);
    note(`scrub: ${times.map((x) => x.toFixed(0)).join(' ')} ms`);
    if (shown) best = Math.min(best, median(times)); // else there was no picture under the hand
  }
  checkTime(best <= 100, `median ${best.toFixed(0)} ms`);
});

test('at four times the speed four times the time passes', async () => {
  await seekTo(['cam01'], Date.now() - 40_000);
  await page.selectOption('.tl-controls .speed', '4');
  const t0 = await deckTime(page);
  await page.keyboard.press(' ');
  const started = Date.now();
  await pause(4000);
  await page.keyboard.press(' ');
  const took = Date.now() - started;
  await pause(900);
  const passed = (await deckTime(page)) - t0;
  await page.selectOption('.tl-controls .speed', '1');
  check(passed > 0 && passed < 6 * took, `${passed} ms of recording in ${took} ms at 4x`);
  checkTime(passed > 2.2 * took, `${passed} ms of recording in ${took} ms at 4x`);
});

test('a typed time is where it goes', async () => {
  const t = Date.now() - 10_000;
  const text = new Date(t + 7 * 3_600_000).toISOString().slice(11, 19).replaceAll(':', '.');
  await page.keyboard.press('g');
  await page.fill('dialog input[type=text]', text);
  await page.keyboard.press('Enter');
  await until('it went there', 4, async () => Math.abs((await deckTime(page)) - Math.floor(t / 1000) * 1000) < 1500);
});

test('the wheel and the buttons zoom from seconds to thirty days', async () => {
  const span = () => page.evaluate(() => Number(new URLSearchParams(location.hash.split('?')[1]).get('span')));
  for (let i = 0; i < 9; i++) await page.click('.tl-foot [aria-label="Perkecil"]');
  await until('thirty days', 4, async () => (await span()) === 30 * 86_400);
  for (let i = 0; i < 9; i++) await page.click('.tl-foot [aria-label="Perbesar"]');
  await until('ten seconds', 4, async () => (await span()) === 10);
  const box = await page.locator('.tl-canvas').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 20);
  for (let i = 0; i < 10; i++) await page.mouse.wheel(0, 400);
  await until('wider again', 4, async () => (await span()) > 600);
});

test('a range is downloaded as one playable file', async () => {
  await seekTo(['cam02'], Date.now() - 20_000);
  await page.keyboard.press('i');
  await visitLater(page, 8000);
  await page.keyboard.press('o');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('.tl-controls a[download]')]);
  const path = await download.path();
  const size = statSync(path).size;
  note(`clip of 8 s: ${size} bytes`);
  check(size > 500_000, `${size} bytes`);
  check(readFileSync(path).subarray(4, 8).toString() === 'ftyp', 'not an MP4');
});

async function visitLater(p, ms) {
  for (let i = 0; i < Math.round(ms / 5000 + 0.4); i++) await p.keyboard.press('ArrowRight');
  await pause(200);
}

clipTests(() => ({ server, cameras, browser, page }));

/* ------------------------------ events ------------------------------ */

test('events are filtered and marked as seen', async () => {
  await visit(page, '#/events');
  await page.waitForSelector('.card');
  await page.selectOption('.filters select >> nth=0', event.camera);
  await until('only that camera', 4, () => page.evaluate((n) => {
    const names = [...document.querySelectorAll('.card strong')].map((x) => x.textContent);
    return names.length > 0 && new Set(names).size === 1;
  }));
  const fresh = page.locator('.card:not(.seen)').first();
  if (await fresh.count()) {
    const id = await fresh.getAttribute('data-event');
    await fresh.locator('.mark button').click();
    await until('the server knows', 3, async () => (await server.api('GET', `/events/${id}`)).seen);
  }
  await page.click('.filters .quiet');
});

test('the roll is gone through by keys, and a card moves under the focus', async () => {
  await visit(page, '#/events');
  await page.waitForSelector('.card a.open');
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press('j');
  const focused = () => page.evaluate(() => document.activeElement?.closest('.card')?.dataset.event);
  const first = await focused();
  check(first, 'J focuses no event');
  await page.keyboard.press('j');
  check((await focused()) !== first, 'J does not go on');
  await page.keyboard.press('k');
  check((await focused()) === first, 'K does not go back');
  const id = String(event.id); // one that is over: the newest may still go on
  await page.focus(`.card[data-event="${id}"] a.open`);
  await page.waitForSelector(`.card[data-event="${id}"] video`);
  await until('the preview moves', 8, () => page.evaluate((i) => {
    const v = document.querySelector(`.card[data-event="${i}"] video`);
    return v && v.getVideoPlaybackQuality().totalVideoFrames > 5;
  }, id));
  const seen = (await server.api('GET', `/events/${id}`)).seen;
  await page.keyboard.press('s');
  await until('S turned the mark', 3, async () => (await server.api('GET', `/events/${id}`)).seen !== seen);
});

test('on a phone a swipe marks an event, and its buttons do the same', async () => {
  const p = await browser.page({ width: 390, height: 844 });
  await enter(p, server, '#/events');
  await p.waitForSelector('.card');
  const id = await p.locator('.card').nth(1).getAttribute('data-event');
  const seen = async () => (await server.api('GET', `/events/${id}`)).seen;
  const before = await seen();
  const box = await p.locator(`.card[data-event="${id}"] .text`).boundingBox();
  await p.evaluate(([card, x, y]) => {
    const el = document.querySelector(`.card[data-event="${card}"]`);
    const send = (type, dx) => el.dispatchEvent(new PointerEvent(type, { pointerId: 7, pointerType: 'touch', clientX: x + dx, clientY: y, bubbles: true }));
    send('pointerdown', 0);
    for (let dx = 0; dx >= -120; dx -= 20) send('pointermove', dx);
    send('pointerup', -120);
  }, [id, box.x + box.width / 2, box.y + 20]);
  await until('the swipe marked it', 3, async () => (await seen()) !== before);
  await p.locator(`.card[data-event="${id}"] .mark button`).click();
  await until('the button took it back', 3, async () => (await seen()) === before);
  check(p.url().includes('#/events'), 'swiping opened the event');
  await p.context().close();
});

test('the list of one zone leaves out the events of others', async () => {
  await visit(page, '#/events?rule=Halaman');
  await page.waitForSelector('.filters select[aria-label="Daerah atau garis"]');
  check(await page.inputValue('.filters select[aria-label="Daerah atau garis"]') === 'Halaman', 'the chosen zone is not shown');
  await until('events of no zone are not listed', 5, async () => (await page.locator('.card').count()) === 0 && (await page.locator('.empty').count()) === 1);
  await page.click('.filters .quiet');
  await page.waitForSelector('.card');
});

test('motion in a part of the picture is found without decoding', async () => {
  await visit(page, '#/events');
  await page.click('text=Cari di gambar');
  await page.selectOption('dialog select >> nth=0', event.camera);
  const box = await page.locator('dialog .draw').boundingBox();
  await page.mouse.move(box.x + 4, box.y + box.height * 0.4);
  await page.mouse.down();
  for (let y = 0.4; y < 0.98; y += 0.1)
    for (const x of [0.02, 0.98]) await page.mouse.move(box.x + box.width * x, box.y + box.height * y, { steps: 20 });
  await page.mouse.up();
  await page.click('dialog >> text=Cari >> nth=-1');
  await page.waitForSelector('dialog .menu-list button');
  await page.keyboard.press('Escape');
});

/* ------------------------------ administration ------------------------------ */

test('a camera is tested, added, changed and removed', async () => {
  await visit(page, '#/admin/cameras/new');
  await page.fill('input[name=name]', 'Pintu Belakang');
  await page.fill('input[name=main]', cameras.url(0, 'main'));
  await page.click('form button:has-text("Uji") >> nth=0');
  await page.waitForSelector('.badge.ok:has-text("Terhubung")');
  await page.waitForSelector('.tried img');
  await page.click('form button.primary');
  await page.waitForSelector('a[href="#/admin/cameras/pintu-belakang"]');
  await until('it records', 12, async () => (await server.api('GET', '/cameras/pintu-belakang')).recording);
  await visit(page, '#/admin/cameras/pintu-belakang');
  await page.fill('input[name=name]', 'Pintu Dapur');
  await page.click('form button.primary');
  await page.waitForSelector('text=Pintu Dapur');
  await visit(page, '#/admin/cameras/pintu-belakang');
  await page.click('form button.danger');
  await page.click('dialog button.danger');
  await until('it is gone', 5, async () => !(await server.api('GET', '/cameras')).items.some((c) => c.id === 'pintu-belakang'));
  await page.waitForURL(/#\/admin\/cameras$/);
});

test('rules are tried on the last hour, and what they would have told is one tap away', async () => {
  const motion = await until('something moved', 60, async () => (await server.api('GET', '/events?type=motion')).items.find((e) => e.end));
  await visit(page, `#/admin/cameras/${motion.camera}`);
  const trial = page.locator('section[aria-label="Coba pada rekaman"]');
  await trial.locator('select').selectOption('hour');
  await trial.locator('button:has-text("Coba sekarang")').click();
  await trial.locator('.menu-list a').first().waitFor({ timeout: 30_000 });
  await trial.locator('button:has-text("Coba sekarang")').waitFor({ timeout: 30_000 });
  check(!(await trial.locator('[role=alert]').innerText()), 'an error is shown');
  const { total, events } = await server.api('GET', `/cameras/${motion.camera}/rules/trial`);
  const shown = await trial.locator('.menu-list a').count();
  check(shown === total && shown === events.length, `${shown} of ${total} events are shown`);
  if (screens > 0) await trial.screenshot({ path: `${process.argv[screens + 1]}/trial-id-desktop.jpg`, type: 'jpeg', quality: 62 });
  await trial.locator('.menu-list a').first().click();
  await page.waitForURL(/#\/timeline\?cam=/);
});

prepareSpeed(() => ({ server, cameras }));

test('forty cameras are found in an address range, looked at, and added at once with one password', async () => {
  const secret = 'kunci@malam/9';
  const many = await Cameras.start(40, ['--bind', '0.0.0.0', '--auth', `ronda:${secret}`]);
  const devices = await Devices.start(40, many, 'ronda', secret);
  await visit(page, '#/admin/cameras');
  await page.click('a:has-text("Cari di jaringan")');
  const range = `127.0.0.2-41:${devices.port}`;
  await page.fill('input[name=range]', range);
  await page.click('form button.primary');
  await page.waitForSelector('.found-list >> text=meminta kata sandi', { timeout: 30_000 });
  check(await page.locator('button:has-text("Tambah 0 kamera")').isDisabled(), 'nothing can be added without the password');
  await page.fill('input[name=user]', 'ronda');
  await page.fill('input[name=password]', secret);
  await page.click('form button.primary');
  await page.waitForSelector('button:has-text("Tambah 40 kamera")', { timeout: 30_000 });
  if (screens > 0) await page.screenshot({ path: `${process.argv[screens + 1]}/find-id-desktop.jpg`, type: 'jpeg', quality: 62 });
  // Look at one before it is saved: a real picture of the camera.
  await page.click('.found-list li:nth-child(3) button:has-text("Lihat")');
  await page.waitForSelector('.found-list li:nth-child(3) .tried img');
  const wide = await page.evaluate(() => document.querySelector('.tried img').naturalWidth);
  check(wide >= 320, `the picture is ${wide} wide`);
  await page.fill('.found-list li:nth-child(1) input[type=text]', 'Pos Kamling');
  await page.click('.found-list li:nth-child(2) input[type=checkbox]');
  await page.click('button:has-text("Tambah 39 kamera")');
  await page.waitForURL(/#\/admin\/cameras$/, { timeout: 30_000 });
  const added = async () => (await server.api('GET', '/cameras')).items.filter((c) => !c.provisioned && c.id !== PLAIN);
  await until('39 cameras record', 30, async () => (await added()).filter((c) => c.recording).length === 39);
  const list = await added();
  check(list.some((c) => c.id === 'pos-kamling' && c.name === 'Pos Kamling'), 'the name is what was typed');
  check(list.every((c) => c.has_sub && c.main.includes(':***@') && !JSON.stringify(c).includes('kunci')), 'main and sub, and no password');
  check(!server.log().includes('kunci'), 'no password in the log');
  // Searched again, those that are there are not offered a second time.
  await visit(page, '#/admin/cameras/find');
  await page.fill('input[name=range]', range);
  await page.fill('input[name=user]', 'ronda');
  await page.fill('input[name=password]', secret);
  await page.click('form button.primary');
  await page.waitForSelector('button:has-text("Tambah 1 kamera")', { timeout: 30_000 });
  check(await page.locator('.found-list >> text=sudah ada').count() === 39, 'the others are known');
  for (const c of list) await server.api('DELETE', `/cameras/${c.id}`);
  many.process.kill();
  devices.process.kill();
});

test('what is wrong with a camera stands on its page in Indonesian, with what to do', async () => {
  const port = await freePort();
  await server.api('POST', '/cameras', { id: 'rusak', name: 'Rusak', main: `rtsp://ronda:rahasia7@127.0.0.1:${port}/` });
  await until('it is offline', 10, async () => (await server.api('GET', '/cameras/rusak')).state === 'offline');
  await visit(page, '#/admin/cameras/rusak');
  await page.waitForSelector('text=Tidak ada yang menjawab di alamat ini. Periksa alamat dan port');
  check(!(await page.content()).includes('rahasia7'), 'the password is not in the page');
  await visit(page, '#/live/rusak');
  await page.waitForSelector('.solo .center >> text=Periksa alamat dan port');
  const words = await page.locator('.solo .center strong').boundingBox();
  check(Math.abs(words.x + words.width / 2 - 680) < 90 && words.y > 250, `in the middle of the picture, not at ${JSON.stringify(words)}`);
  check(await page.title() === 'Rusak · Kentongan', await page.title());
  await visit(page, '#/admin/cameras/rusak');
  await page.click('form button:has-text("Uji") >> nth=0');
  await page.waitForSelector('.form-error:has-text("Tidak ada yang menjawab")');
  // With an address for snapshots the wall shows what that gives, and still says that nothing is recorded.
  const jpeg = Buffer.from(await (await fetch(`${server.base}/api/v1/cameras/cam01/snapshot.jpg`, { headers: { Cookie: server.cookie } })).arrayBuffer());
  const http = createServer((_, answer) => answer.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(jpeg)).listen(0, '127.0.0.1');
  await new Promise((r) => http.once('listening', r));
  await server.api('PATCH', '/cameras/rusak', { snapshot: `http://127.0.0.1:${http.address().port}/a.jpg` });
  await visit(page, '#/live');
  await page.waitForSelector('[data-camera=rusak] img.still:not(.hidden)');
  check(await page.locator('[data-camera=rusak] >> text=TIDAK MEREKAM').count() === 1, 'it says NOT RECORDING');
  http.close();
  await server.api('DELETE', '/cameras/rusak');
});

test('a volunteer is added, and sees no administration', async () => {
  await visit(page, '#/admin/users');
  await page.focus('button:has-text("Tambah pengguna")');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  await until('the keyboard is where it was', 4, () => page.evaluate(() => document.activeElement.textContent === 'Tambah pengguna'));
  await page.click('button:has-text("Tambah pengguna")');
  await page.fill('dialog input[name=username]', 'pak-slamet');
  await page.fill('dialog input[name=password]', 'ronda-malam-jumat');
  await page.click('dialog button.primary');
  await page.waitForSelector('.menu-list >> text=pak-slamet');
  const other = await browser.page({ width: 360, height: 800 });
  await other.goto(`${server.base}/#/more`);
  await other.fill('input[name=username]', 'pak-slamet');
  await other.fill('input[name=password]', 'ronda-malam-jumat');
  await other.click('form button.primary');
  await other.waitForSelector('.menu-list a');
  check(await other.locator('a[href="#/admin/users"]').count() === 0, 'a volunteer sees the users');
  await other.context().close();
});

test('the system page says in words how the recorder is', async () => {
  await visit(page, '#/admin/system');
  await page.waitForSelector('.stat >> text=9/9');
  await page.waitForSelector('text=Ruang rekam “video”');
});

speedTests(() => ({ server, cameras, page }));
stumbleTests(() => ({ server, page }));

/* ------------------------------ trouble ------------------------------ */

test('a camera that falls silent is never shown as live', async () => {
  await visit(page, '#/live');
  await until('all play', 10, async () => (await frames(page)).filter((n) => n > 5).length === 8);
  cameras.freeze(true);
  try {
    await until('every tile shows its age', 8, async () =>
      (await page.locator('.tile').filter({ hasText: /\d+ dtk lalu|tidak tersambung|TIDAK MEREKAM/i }).count()) === 8);
    await until('NOT RECORDING in words', 30, async () => (await page.locator('.notice:has-text("TIDAK MEREKAM")').count()) === 1);
  } finally {
    cameras.freeze(false);
  }
  await until('the warning is gone', 40, async () => (await page.locator('.notice').count()) === 0);
  await until('all are fresh again', 20, async () => (await page.locator('.tile .badge.warn, .tile .badge.bad').count()) === 0);
});

test('the server goes away and comes back: it is said, and the wall plays again', async () => {
  await visit(page, '#/live');
  await server.stop();
  await page.waitForSelector('.notice:has-text("Menyambung kembali")');
  check(await page.locator('.tile .dot:not(.off)').count() === 0 && await page.locator('.tile.motion').count() === 0, 'tiles still tell what cameras do, and nobody knows');
  await pause(4000);
  await server.run();
  await until('the notice is gone', 20, async () => (await page.locator('.notice').count()) === 0);
  await until('all tiles play again', 30, async () => {
    const before = await frames(page);
    await pause(1500);
    return (await frames(page)).filter((n, i) => n > before[i]).length === 8;
  });
  page.problems.length = 0; // Chromium logs refused connections
});

test('a session that ends leads back to the same place', async () => {
  const where = `#/timeline?cam=cam03&t=${new Date(Date.now() - 20_000).toISOString()}&span=600`;
  await visit(page, where);
  await page.waitForSelector('.tl-view[data-camera=cam03]');
  await page.context().clearCookies();
  await page.waitForSelector('input[name=password]');
  await page.waitForSelector('text=berakhir');
  await page.fill('input[name=username]', 'admin');
  await page.fill('input[name=password]', PASSWORD);
  await page.click('form button.primary');
  await page.waitForSelector('.tl-view[data-camera=cam03]');
  page.problems.length = 0; // Chromium logs the 401
});

/* ------------------------------ for everybody ------------------------------ */

test('English on request, with the site’s own clock', async () => {
  await visit(page, '#/more');
  await page.selectOption('section select >> nth=0', 'en');
  await page.waitForSelector('h1:has-text("More")');
  await visit(page, '#/timeline');
  await page.waitForSelector('.tl-clock small:has-text("WIB")');
  await page.waitForSelector('.tl-foot:has-text("60 minutes")');
  await visit(page, `#/clip?cam=cam01&in=${new Date(Date.now() - 20_000).toISOString()}&out=${new Date(Date.now() - 15_000).toISOString()}`);
  await page.waitForSelector('button:text-is("Download 1 video")');
  check(await page.title() === 'Clip · Kentongan' && await page.evaluate(() => document.documentElement.lang) === 'en', 'title and language of the page');
  await visit(page, '#/more');
  await page.selectOption('section select >> nth=0', 'id');
  await page.waitForSelector('h1:has-text("Lainnya")');
});

const ROUTES = ['#/live', '#/live/cam01', '#/timeline', '#/events', '#/clip?cam=cam01', '#/more', '#/admin/cameras', '#/admin/cameras/cam01',
  '#/admin/cameras/new', '#/admin/cameras/find', '#/admin/system', '#/admin/users', '#/admin/logs'];

for (const [kind, size] of [['desktop, Indonesian', { width: 1280, height: 800 }], ['phone, English', { width: 360, height: 800, language: 'en' }]]) {
  test(`every page is free of accessibility defects, dark and light (axe, ${kind})`, async () => {
    const p = await browser.page(size);
    await p.goto(`${server.base}/`);
    await p.waitForSelector('input[name=password]');
    const bad = [];
    const look = async (name) => {
      for (const colorScheme of ['dark', 'light']) {
        await p.emulateMedia({ colorScheme });
        await pause(150);
        bad.push(...(await axe(p, `${name}, ${colorScheme}`)));
      }
    };
    await look('log in');
    await enter(p, server);
    for (const route of ROUTES) {
      await visit(p, route);
      await pause(1000);
      await look(route);
    }
    check(bad.length === 0, `\n${bad.join('\n')}`);
    check(p.problems.length === 0, p.problems.join('\n'));
    await p.context().close();
  });
}

test('nothing is wider than a phone, and targets are large enough for a thumb', async () => {
  const p = await browser.page({ width: 360, height: 800 });
  await enter(p, server);
  for (const route of ROUTES) {
    await visit(p, route);
    await pause(700);
    const wide = await p.evaluate(() => document.documentElement.scrollWidth);
    check(wide <= 360, `${route} is ${wide} px wide`);
    const small = await p.evaluate(() => [...document.querySelectorAll('button, a[href], select, input')]
      .filter((e) => e.getClientRects().length && !e.closest('p,td,.sr') && e.type !== 'checkbox')
      .map((e) => ({ r: e.getBoundingClientRect(), t: e.ariaLabel ?? e.textContent })).filter((x) => x.r.width < 24 || x.r.height < 24).map((x) => x.t));
    check(small.length === 0, `${route}: small targets ${small}`);
  }
  await p.context().close();
});

gapTests(() => ({ server, cameras, page })); // of when the server was away, above

test('the phone’s wall is stills and needs little data when nothing moves', async () => {
  const p = await browser.page({ width: 360, height: 800 });
  await enter(p, server);
  await until('stills are shown', 10, async () => (await p.locator('.tile img.still:not(.hidden)').count()) >= 3);
  check(p.sockets.length === 1, 'more than one WebSocket');
  await p.context().close();
});

test('the first view is at most 60 kB, and nothing comes from elsewhere', async () => {
  const p = await browser.page();
  const cdp = await p.context().newCDPSession(p);
  await cdp.send('Network.enable');
  let total = 0;
  const assets = new Map();
  cdp.on('Network.responseReceived', (e) => assets.set(e.requestId, e.response.url));
  cdp.on('Network.loadingFinished', (e) => { if (!/api\/v1|icon|manifest|sw\.js/.test(assets.get(e.requestId) ?? '/api/v1')) total += e.encodedDataLength; });
  await p.goto(`${server.base}/`);
  await p.waitForSelector('input[name=password]');
  await pause(500);
  note(`first view: ${(total / 1024).toFixed(1)} kB over the network`);
  check(total > 5000 && total <= 60 * 1024, `${total} bytes`);
  check(p.foreign.length === 0 && page.foreign.length === 0, `foreign: ${[...p.foreign, ...page.foreign]}`);
  await p.context().close();
});

test('it can be installed as an app, and says so when the recorder cannot be reached', async () => {
  const p = await browser.page({ width: 390, height: 844 });
  const cdp = await p.context().newCDPSession(p);
  await enter(p, server, '#/events');
  await p.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  const { installabilityErrors } = await cdp.send('Page.getInstallabilityErrors');
  const other = installabilityErrors.filter((e) => e.errorId !== 'in-incognito'); // so are the contexts of tests
  check(other.length === 0, JSON.stringify(other));
  const { url, errors } = await cdp.send('Page.getAppManifest');
  check(url.endsWith('manifest.webmanifest') && errors.length === 0, JSON.stringify(errors));
  await p.reload(); // from here on the worker answers
  await p.waitForSelector('.shell');
  await p.context().setOffline(true);
  await p.reload();
  await p.waitForSelector('text=/tidak dapat dihubungi|Menyambung kembali/');
  await p.context().setOffline(false);
  await p.waitForSelector('.shell');
  await p.context().close();
});

test('no error reached the console', async () => {
  check(page.problems.length === 0, page.problems.join('\n'));
});

if (screens > 0)
  test('pictures of every page, in two languages and two sizes', () => takeScreens(browser, server, process.argv[screens + 1], event));

await run(setup, teardown, process.argv.slice(2).filter((a, i, all) => !a.startsWith('--') && all[i - 1] !== '--screens'));

