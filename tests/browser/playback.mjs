/*
 * playback.mjs - recordings at every speed, judged by the clock that is burnt into the pictures: how much
 * recorded time passes on the screen in a second, and whether four cameras show the same moment.
 * The tests are part of browser.mjs.
 */
import { check, checkTime, enter, frames, note, pause, test, until, visit } from './kt.mjs';

const FOUR = ['cam01', 'cam02', 'cam03', 'cam04'];
const RATES = [0.25, 0.5, 1, 2, 4, 8, 16];
const numberOf = (id) => Number(/\d+$/.exec(id)[0]) - 1;
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/* In the page: for SECONDS, [{wall, ticks: [tick of each view, or null]}], one for each picture of the screen. */
async function watchViews(seconds) {
  const out = [];
  const stop = performance.now() + seconds * 1000;
  while (performance.now() < stop) {
    await new Promise((r) => requestAnimationFrame(r));
    const ticks = [...document.querySelectorAll('.tl-view')].map((v) =>
      v.dataset.state === 'ready' ? window.readStrip(v.querySelector('canvas:not(.hidden)') ?? v.querySelector('video')) : null);
    out.push({ wall: Date.now(), ticks });
    await new Promise((r) => setTimeout(r, 30));
  }
  return out;
}

/** The recorded moment (ms) nearest to NEAR at which camera I showed TICK. */
const moment = (cameras, i, tick, near) => near - cameras.lag(i, tick, near) * 1000;

/** Of what watchViews saw of CAMS, playing from about T: speed of each, and how far they were apart (ms of recording). */
function judge(cameras, cams, seen, t) {
  const last = cams.map(() => t);
  const moments = cams.map(() => []);
  const apart = [];
  for (const { wall, ticks } of seen) {
    const now = ticks.map((tick, v) => (tick === null ? null : (last[v] = moment(cameras, numberOf(cams[v]), tick, last[v]))));
    now.forEach((at, v) => at !== null && moments[v].push({ wall, at }));
    if (now.every((at) => at !== null)) apart.push(Math.max(...now) - Math.min(...now));
  }
  const speeds = moments.map((m) => (m.length < 2 ? 0 : (m[m.length - 1].at - m[0].at) / (m[m.length - 1].wall - m[0].wall)));
  const pictures = moments.map((m) => new Set(m.map((x) => x.at)).size);
  return { speeds, pictures, apart, last, all: apart.length / Math.max(1, seen.length) };
}

export function playback(given) {
  async function recorded(seconds, ids = FOUR) {
    const { server } = given();
    await until(`${seconds} s are recorded`, seconds + 20, async () => {
      const now = Date.now();
      const { cameras: rows } = await server.api('GET', `/timeline?camera=${ids.join(',')}&from=${new Date(now - 900_000).toISOString()}&to=${new Date(now).toISOString()}&buckets=900`);
      return rows.every((row) => row.spans.some((x) => Date.parse(x.to) - Date.parse(x.from) > seconds * 1000 && now - Date.parse(x.to) < 10_000));
    }, 1000);
  }

  /** Play CAMS at RATE from FROM for about 5 s; what judge() says. */
  async function play(cams, rate, from) {
    const { page, cameras, server } = given();
    if (!page.url().startsWith(server.base)) await enter(page, server);
    await visit(page, `#/timeline?cam=${cams.join(',')}&t=${new Date(from).toISOString()}&span=300`);
    await page.selectOption('.tl-controls .speed', String(rate));
    for (const id of cams) await page.waitForSelector(`.tl-view[data-camera=${id}][data-state=ready]`);
    await page.keyboard.press(' ');
    await pause(1500);
    const seen = await page.evaluate(watchViews, 3);
    await page.keyboard.press(' ');
    return judge(cameras, cams, seen, from + 1500 * rate);
  }

  function say(what, rate, r) {
    note(`${what} at ${rate}x: ${r.speeds.map((s) => s.toFixed(2)).join(' ')} s of recording a second; pictures ${r.pictures.join(' ')}` +
      (r.apart.length && r.speeds.length > 1 ? `; apart ${(median(r.apart) / rate).toFixed(0)} ms on the screen` : ''));
  }

  async function everySpeed(what, cams, rates) {
    const slow = [];
    for (const rate of rates) {
      let [good, still] = [false, false];
      for (let round = 0; round < 2 && !good; round++) { // other programs run on a test machine too
        const r = await play(cams, rate, Date.now() - Math.max(20, 6 * rate + 6) * 1000);
        say(what, rate, r);
        still = r.speeds.some((s) => s <= 0);
        good = r.speeds.every((s) => Math.abs(s / rate - 1) < 0.12) && (cams.length < 2 || median(r.apart) < Math.max(200, 150 * rate)) && r.all > 0.5;
      }
      check(!still, `${what} at ${rate}x: a picture stands still`);
      if (!good) slow.push(`${rate}x`);
    }
    await given().page.selectOption('.tl-controls .speed', '1');
    checkTime(slow.length === 0, `${what}: not in pace or not together at ${slow.join(', ')}`);
  }

  return { recorded, play, say, everySpeed };
}

export const PLAIN = 'polos-2'; // has a main stream only

/** Long before speedTests(): they play what was recorded for nearly two minutes. */
export function prepareSpeed(given) {
  test('playback: a camera without a small stream is added, to be played later', async () => {
    const { server, cameras } = given();
    await server.api('POST', '/cameras', { id: PLAIN, name: 'Polos', main: cameras.url(1, 'main') });
  });
}

export function speedTests(given) {
  const { recorded, everySpeed } = playback(given);

  test('playback: four cameras keep every speed from a quarter to sixteen, together', async () => {
    await recorded(105);
    await everySpeed('four cameras', FOUR, RATES);
  });

  test('playback: one camera keeps them too: slowly with the main stream, fast with the small one', async () => {
    await recorded(105);
    await everySpeed('one camera', ['cam02'], [0.25, 4, 16]);
  });

  test('playback: a camera without a small stream keeps sixteen times by its key frames, and says so', async () => {
    const { page, server } = given();
    try {
      await recorded(105, [PLAIN]);
      await everySpeed('only a main stream', [PLAIN], [16]);
      check(await page.locator('.tl-view >> text=gambar kunci').count() === 0, 'paused, every frame is there again');
      await page.selectOption('.tl-controls .speed', '16');
      await page.keyboard.press(' ');
      await page.waitForSelector('.tl-view >> text=gambar kunci');
      await page.keyboard.press(' ');
      await page.selectOption('.tl-controls .speed', '1');
    } finally {
      await server.api('DELETE', `/cameras/${PLAIN}`);
    }
  });
}

/** After the recorder was away: the way over the gap. */
export function gapTests(given) {
  const { play, say } = playback(given);

  test('playback: where nobody recorded it goes on after the gap, at once', async () => {
    const { server } = given();
    const gap = await until('a gap, and 20 s after it', 45, async () => {
      const now = Date.now();
      const { cameras: [row] } = await server.api('GET', `/timeline?camera=cam02&from=${new Date(now - 600_000).toISOString()}&to=${new Date(now).toISOString()}&buckets=600`);
      const spans = row.spans.map((x) => ({ from: Date.parse(x.from), to: Date.parse(x.to) }));
      const i = spans.findLastIndex((x, n) => x.to - x.from > 8000 && n + 1 < spans.length && now - spans[n + 1].from > 22_000);
      return i >= 0 && { from: spans[i].to, to: spans[i + 1].from };
    }, 500);
    let r;
    for (let round = 0; round < 2 && !(r?.last[0] > gap.to + 1000); round++) { // other programs run on a test machine too
      r = await play(['cam02'], 4, gap.from - 5000);
      say(`over a gap of ${((gap.to - gap.from) / 1000).toFixed(1)} s`, 4, r);
    }
    check(r.last[0] > gap.to + 1000, `it stands at ${((r.last[0] - gap.from) / 1000).toFixed(1)} s after the beginning of the gap`);
    await given().page.selectOption('.tl-controls .speed', '1');
  });
}

/* In the page: the next data that any video gets is damaged, so that its decoder gives up. */
function damageOnce() {
  const append = SourceBuffer.prototype.appendBuffer;
  window.damaged = false;
  SourceBuffer.prototype.appendBuffer = function () {
    SourceBuffer.prototype.appendBuffer = append;
    this.addEventListener('error', () => { window.damaged = true; });
    return append.call(this, new Uint8Array([0, 0, 0, 16, 0x6d, 0x6f, 0x6f, 0x66, 0, 0, 0, 1, 0, 0, 0, 0])); // a moof of nothing
  };
}

export function stumbleTests(given) {
  const { recorded } = playback(given);

  test('a decoder that gives up is started again: the tile plays on', async () => {
    const { page } = given();
    await visit(page, '#/live');
    await until('eight play', 10, async () => (await frames(page)).filter((n) => n > 5).length === 8);
    await page.evaluate(damageOnce);
    await until('a decoder gave up', 5, () => page.evaluate(() => window.damaged));
    await until('all eight are video and play', 12, async () => {
      const before = await frames(page);
      await pause(1000);
      const after = await frames(page);
      return (await page.locator('.tile video[data-shown=video]').count()) === 8 && after.every((n, i) => n > before[i]);
    });
  });

  test('a decoder that gives up over a recording begins again at the same place', async () => {
    const { page } = given();
    await recorded(25, ['cam02']);
    const from = Date.now() - 20_000;
    await visit(page, `#/timeline?cam=cam02&t=${new Date(from).toISOString()}&span=120`);
    await page.waitForSelector('.tl-view[data-camera=cam02][data-state=ready]');
    await page.evaluate(damageOnce);
    await page.keyboard.press(' '); // asks for more
    await until('the decoder gave up', 15, () => page.evaluate(() => window.damaged));
    const n = () => page.evaluate(() => {
      const v = document.querySelector('.tl-view[data-state=ready] video');
      return v && !v.error ? v.getVideoPlaybackQuality().totalVideoFrames : 0;
    });
    await until('it plays on', 8, async () => (await n()) > 10);
    await page.keyboard.press(' ');
    await pause(900);
    const at = await page.evaluate(() => Date.parse(new URLSearchParams(location.hash.split('?')[1]).get('t')));
    check(at > from && at < from + 30_000, `at another place: ${new Date(at).toISOString()}`);
  });
}
