/*
 * kt.mjs - what the browser tests share: the simulated cameras, the real server and Debian's
 * Chromium, started and stopped; TAP with a counting last line.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, firefox } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const ROOT = process.env.KT_ROOT ?? join(here, '../..');
export const BUILD = process.env.KT_BUILD ?? join(ROOT, 'build');
export const KENTONGAN = process.env.KT_SERVER ?? join(BUILD, 'server/kentongan');
const CAMERA = join(ROOT, 'build/tests/camera/kt-camera');
const DEMO = join(ROOT, 'demo');
const CHROMIUM = process.env.KT_CHROMIUM ?? '/usr/bin/chromium';
const FIREFOX = process.env.KT_FIREFOX ?? '/usr/bin/firefox-esr';
export const PASSWORD = 'kampung-aman-91';

const FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-default-browser-check',
  '--disable-default-apps', '--metrics-recording-only', '--no-pings'];

/* ------------------------------ tests and TAP ------------------------------ */

const tests = [];

export function test(promise, fn) {
  tests.push({ promise, fn });
}

export class Skip extends Error {}

export const note = (text) => console.log(`# ${text}`);

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

/* A promise about time that was not kept says nothing where other programs take the processor. */
export function checkTime(kept, what) {
  const cores = availableParallelism?.() ?? cpus().length;
  const load = loadavg()[0];
  if (!kept && load > 3 * cores) throw new Skip(`${what}, but the machine is busy: load ${load.toFixed(1)} on ${cores} cores`);
  check(kept, what);
}

/** The same of what FN finds. */
export async function unlessBusy(fn) {
  try {
    await fn();
  } catch (error) {
    if (!(error instanceof Skip)) checkTime(false, error.message);
    throw error;
  }
}

/* Other programs run beside a test: what is no promise about time may take longer than it does on a machine of its own. */
const PATIENCE = 3;

/** Poll CONDITION until it is true; its value. Promises about time: checkTime(). */
export async function until(what, seconds, condition, every = 100) {
  seconds *= PATIENCE;
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((r) => setTimeout(r, every));
  }
}

export const pause = (ms) => new Promise((r) => setTimeout(r, ms));

/** Run what test() collected (or those whose promise holds a word of ONLY), in order. */
export async function run(setup, teardown, only = process.argv.slice(2).filter((a) => !a.startsWith('-'))) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  console.log(`1..${tests.length}`);
  let ready = null;
  try {
    await setup();
  } catch (error) {
    ready = error;
  }
  for (const [i, { promise, fn }] of tests.entries()) {
    const started = Date.now();
    const wanted = only.length === 0 || only.some((w) => promise.includes(w));
    try {
      if (ready) throw ready;
      if (!wanted) throw new Skip('not asked for');
      await fn();
      count.passed++;
      console.log(`ok ${i + 1} - ${promise} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      if (error instanceof Skip) {
        count.skipped++;
        console.log(`ok ${i + 1} - ${promise} # SKIP ${error.message}`);
      } else {
        count.failed++;
        console.log(`not ok ${i + 1} - ${promise}`);
        for (const line of String(error.stack ?? error).split('\n').slice(0, 12)) console.log(`#   ${line}`);
      }
    }
  }
  await teardown();
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  process.exit(count.failed ? 1 : 0);
}

/* ------------------------------ programs ------------------------------ */

const running = new Set();
const folders = [];

function stopAll() {
  for (const p of running) p.kill('SIGKILL');
  for (const f of folders) if (!process.env.KT_KEEP) rmSync(f, { recursive: true, force: true });
}
process.on('exit', stopAll);
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(130));

function start(command, args, log, env) {
  const out = openSync(log, 'a');
  const p = spawn(command, args, { stdio: ['ignore', out, out], env: { ...process.env, ...env } });
  running.add(p);
  p.on('exit', () => running.delete(p));
  return p;
}

function newFolder(name) {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  folders.push(folder);
  return folder;
}

export function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

export class Cameras {
  static async start(n = 8, options = []) {
    if (!existsSync(CAMERA)) throw new Skip('kt-camera is not built');
    if (!existsSync(join(DEMO, '1-gerbang-main.mp4'))) throw new Skip(`no footage in ${DEMO}`);
    const c = new Cameras();
    const folder = newFolder('kt-browser-cameras');
    c.n = n;
    c.process = start(CAMERA, ['--port', '0', '--cameras', String(n), '--truth', join(folder, 'truth.json'), ...options, DEMO], join(folder, 'log'));
    c.port = Number(await until('kt-camera is ready', 15, () =>
      /ready port=(\d+)/.exec(readFileSync(join(folder, 'log'), 'utf8'))?.[1]));
    c.truth = JSON.parse(readFileSync(join(folder, 'truth.json'), 'utf8'));
    return c;
  }

  url(i, stream) {
    return `rtsp://127.0.0.1:${this.port}/cam${String(i + 1).padStart(2, '0')}/${stream}`;
  }

  /** Where in its loop camera I is at WALL (ms), in seconds. */
  loopTime(i, wall) {
    const { offset_s, loop_s } = this.truth.cameras[i];
    const t = (wall - this.truth.epoch_us / 1000) / 1000 + offset_s;
    return ((t % loop_s) + loop_s) % loop_s;
  }

  /** Seconds by which a picture of camera I with TICK is older than WALL (ms), the short way round its loop. */
  lag(i, tick, wall) {
    const loop = this.truth.cameras[i].loop_s;
    const d = (((this.loopTime(i, wall) - tick / 30) % loop) + loop) % loop;
    return d > loop / 2 ? d - loop : d;
  }

  /** Stop and continue the cameras: nothing comes, but connections stay. */
  freeze(frozen) {
    this.process.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
  }
}

/** COUNT ONVIF devices on 127.0.0.2 and up, whose streams are those of CAMERAS. */
export class Devices {
  static async start(count, cameras, user, password) {
    const d = new Devices();
    d.process = spawn('python3', [join(ROOT, 'tests/integration/onvif_device/onvif_device.py'), '--count', String(count), '--address', '127.0.0.2',
      '--user', user, '--password', password, '--rtsp', String(cameras.port)], { stdio: ['pipe', 'pipe', 'ignore'] });
    running.add(d.process);
    d.process.on('exit', () => running.delete(d.process));
    d.port = Number(/port=(\d+)/.exec(String(await new Promise((r) => d.process.stdout.once('data', r))))[1]);
    return d;
  }
}

export const NAMES = ['Gerbang Utara', 'Gang Melati', 'Mushola Al-Ikhlas', 'Jalan Sawah', 'Gerbang Selatan', 'Gang Mawar', 'Pos Ronda', 'Lapangan Voli'];

export class Server {
  /** PASSWORD null: the recorder makes one up, as at a first start without one. PREPARE fills FOLDER before it. */
  static async start(cameras, { port, folder, password = PASSWORD, ring = '1 GiB', prepare } = {}) {
    if (!existsSync(KENTONGAN)) throw new Skip('kentongan is not built');
    const s = new Server();
    s.password = password;
    s.folder = folder ?? newFolder('kt-browser');
    s.port = port ?? (await freePort());
    s.base = `http://127.0.0.1:${s.port}`;
    const list = Array.from({ length: cameras?.n ?? 0 }, (_, i) => {
      const name = NAMES[i % NAMES.length] + (i >= NAMES.length ? ` ${Math.floor(i / NAMES.length) + 1}` : '');
      return `  - { id: cam${String(i + 1).padStart(2, '0')}, name: "${name}", main: "${cameras.url(i, 'main')}", sub: "${cameras.url(i, 'sub')}" }`;
    });
    writeFileSync(join(s.folder, 'server.yaml'), [
      `server: { listen: "127.0.0.1:${s.port}", timezone: Asia/Jakarta, language: id, allow_loopback: true }`,
      'storage:', `  catalog: ${s.folder}/catalog.db`, '  rings:',
      `    - { name: video, path: ${s.folder}/video, size: ${ring} }`,
      `    - { name: clips, path: ${s.folder}/clips, size: 128 MiB, only: events }`,
      `  vault: { path: ${s.folder}/vault, max_size: 512 MiB }`,
      ...(list.length ? ['cameras:', ...list] : []), ''].join('\n'));
    await prepare?.(s.folder);
    await s.run();
    return s;
  }

  async run() {
    this.process = start(KENTONGAN, ['serve', '-c', join(this.folder, 'server.yaml')], join(this.folder, 'log'), { KENTONGAN_ADMIN_PASSWORD: this.password ?? '' });
    await until(`the server listens: ${this.log().slice(-1500)}`, 15, async () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended:\n${this.log().slice(-1500)}`);
      return fetch(`${this.base}/healthz`).then(() => true, () => false);
    });
  }

  log() {
    const path = join(this.folder, 'log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  async stop() {
    const gone = new Promise((r) => this.process.on('exit', r));
    this.process.kill('SIGTERM');
    await gone;
  }

  /** A request of the tests' own, logged in as administrator. */
  async api(method, path, body) {
    this.cookie ??= await this.login();
    const response = await fetch(`${this.base}/api/v1${path}`, {
      method, headers: { Cookie: this.cookie, 'Content-Type': 'application/json', Origin: this.base },
      ...(body ? { body: JSON.stringify(body) } : {}) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? null : response.json();
  }

  async login() {
    const response = await fetch(`${this.base}/api/v1/session`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', Origin: this.base },
      body: JSON.stringify({ username: 'admin', password: PASSWORD }) });
    if (!response.ok) throw new Error(`login: ${response.status} ${await response.text()}`);
    return response.headers.get('set-cookie').split(';')[0];
  }
}

/* ------------------------------ browser ------------------------------ */

export class Browser {
  static async start() {
    if (!existsSync(CHROMIUM)) throw new Skip(`${CHROMIUM} is not installed`);
    const b = new Browser();
    b.browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    return b;
  }

  /** Debian's Firefox as it is, over WebDriver BiDi. */
  static async firefox() {
    if (!existsSync(FIREFOX)) throw new Skip(`${FIREFOX} is not installed`);
    const b = new Browser();
    b.downloads = newFolder('kt-firefox-downloads');
    b.browser = await firefox.launch({ executablePath: FIREFOX, channel: 'moz-firefox', downloadsPath: b.downloads });
    return b;
  }

  /** A page that is watched: console errors, failed requests, foreign hosts and sockets are kept. */
  async page({ width = 1280, height = 800, language = 'id', scheme = 'dark', bypassCSP = false } = {}) {
    const context = await this.browser.newContext({
      bypassCSP, viewport: { width, height }, colorScheme: scheme, acceptDownloads: true, hasTouch: width < 720, isMobile: width < 720 });
    await context.addInitScript((l) => { if (location.protocol.startsWith('http')) localStorage.setItem('kt.language', l); }, language);
    const page = await context.newPage();
    page.setDefaultTimeout(8000 * PATIENCE);
    page.problems = [];
    page.foreign = [];
    page.sockets = [];
    page.on('console', (m) => { if (m.type() === 'error') page.problems.push(`${m.text()} ${m.location().url}`); });
    page.on('pageerror', (e) => page.problems.push(String(e.stack ?? e)));
    page.on('request', (r) => { if (!/^(http:\/\/127\.0\.0\.1:|blob:|data:)/.test(r.url())) page.foreign.push(r.url()); });
    page.on('websocket', (w) => page.sockets.push(w));
    return page;
  }

  async close() {
    await this.browser.close();
  }
}

export async function enter(page, server, hash = '#/live', username = 'admin', password = PASSWORD) {
  await page.goto(`${server.base}/${hash}`);
  await page.waitForSelector('input[name=password], .shell');
  if (await page.$('input[name=password]')) {
    await page.fill('input[name=username]', username);
    await page.fill('input[name=password]', password);
    await page.click('form button.primary');
  }
  await page.waitForSelector('.shell');
}

/** Open a place of the app without loading the page anew. */
export async function visit(page, hash) {
  await page.evaluate((h) => { location.hash = h; }, hash);
}

/** Decoded frames of every video on the page. */
export const frames = (page) => page.evaluate(() => [...document.querySelectorAll('video')]
  .map((v) => v.getVideoPlaybackQuality().totalVideoFrames));

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Accessibility defects of what page P shows, one text each. */
export async function axe(p, name) {
  if (!(await p.evaluate(() => 'axe' in window))) await p.evaluate(AXE);
  const found = await p.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return found.violations.map((v) => `${name}: ${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(' | ')}`);
}

export const version = () => execFileSync(CHROMIUM, ['--version'], { encoding: 'utf8' }).trim();

/** A network between browser and server that can be made slow: network.py. */
export class Network {
  static async start(server) {
    const n = new Network();
    n.process = spawn('python3', [join(here, 'network.py'), String(server.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
    running.add(n.process);
    const port = await new Promise((resolve) => n.process.stdout.once('data', (d) => resolve(Number(d))));
    n.base = `http://127.0.0.1:${port}`;
    return n;
  }

  /** Bytes a second to the browser, 0: as fast as it goes. */
  rate(bytes) {
    this.process.stdin.write(`${bytes}\n`);
  }

  stop() {
    this.process.kill('SIGKILL');
    running.delete(this.process);
  }
}

/** Seconds of processor time that the browser's processes have used so far. */
export async function browserCpu(b) {
  b.cdp ??= await b.browser.newBrowserCDPSession();
  const { processInfo } = await b.cdp.send('SystemInfo.getProcessInfo');
  return processInfo.reduce((sum, p) => sum + p.cpuTime, 0);
}

/** The same of a program and its threads, from /proc. */
export function programCpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
