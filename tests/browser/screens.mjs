/* screens.mjs - pictures of every page for docs/screens/: Indonesian and English, phone and desktop. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { enter, pause, visit } from './kt.mjs';

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 800 } };

function places(event) {
  const start = Date.parse(event?.start ?? new Date(Date.now() - 30_000).toISOString());
  const at = (ms) => new Date(ms).toISOString();
  const camera = event?.camera ?? 'cam01';
  return [
    ['wall', '#/live', 3500],
    ['camera', '#/live/cam01', 2500],
    ['timeline', `#/timeline?cam=${camera}&t=${at(start + 2000)}&span=600`, 3000],
    ['four', `#/timeline?cam=cam01,cam02,cam03,cam04&t=${at(start + 2000)}&span=600`, 3500],
    ['events', '#/events', 2000],
    ['clip', `#/clip?cam=cam01,cam02&in=${at(start - 5000)}&out=${at(start + 10_000)}`, 2500],
    ['cameras', '#/admin/cameras', 1500],
    ['find', '#/admin/cameras/find', 600],
    ['rules', `#/admin/cameras/${camera}`, 1500],
    ['system', '#/admin/system', 1500],
    ['more', '#/more', 600],
  ];
}

export async function takeScreens(browser, server, folder, event) {
  mkdirSync(folder, { recursive: true });
  for (const language of ['id', 'en'])
    for (const [size, room] of Object.entries(SIZES)) {
      const page = await browser.page({ ...room, language, scheme: size === 'phone' && language === 'en' ? 'light' : 'dark' });
      const shot = (name) => page.screenshot({ path: join(folder, `${name}-${language}-${size}.jpg`), type: 'jpeg', quality: 62 });
      await page.goto(`${server.base}/`);
      await page.waitForSelector('input[name=password]');
      await pause(300);
      await shot('login');
      await enter(page, server);
      for (const [name, hash, wait] of places(event)) {
        await visit(page, hash);
        await pause(wait);
        await shot(name);
      }
      await page.context().close();
    }
}
