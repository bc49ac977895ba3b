/* clip.mjs - the page on which a stretch of one to many cameras is taken away. The tests are part of browser.mjs. */
import { readFileSync } from 'node:fs';
import { check, enter, note, test, until, visit } from './kt.mjs';

/** Press Tab until WHAT (in the page: whether the focused element is it) holds. */
async function tabTo(p, name, what, arg) {
  for (let i = 0; i < 60; i++) {
    await p.keyboard.press('Tab');
    if (await p.evaluate(`(${what})(document.activeElement, ${JSON.stringify(arg ?? null)})`)) {
      const seen = await p.evaluate(() => {
        const e = document.activeElement;
        const r = e.getBoundingClientRect();
        return { ring: getComputedStyle(e).outlineStyle !== 'none', inSight: r.top >= 0 && r.bottom <= innerHeight && r.width > 0 };
      });
      check(seen.ring, `${name}: the focus is not to be seen`);
      check(seen.inSight, `${name}: the focus is out of sight`);
      return;
    }
  }
  throw new Error(`${name} is not reached with Tab`);
}

const chosen = (p) => p.evaluate(() => {
  const q = new URLSearchParams(location.hash.split('?')[1]);
  return { cams: q.get('cam'), from: Date.parse(q.get('in')), to: Date.parse(q.get('out')), note: q.get('note') };
});

const wib = (ms) => new Date(ms + 7 * 3_600_000).toISOString().slice(11, 19).replaceAll(':', '.');

export function clipTests(given) {
  test('the clip page shows, names and fetches what was chosen', async () => {
    const to = Date.now() - 8000;
    const { page } = given();
    await visit(page, `#/clip?cam=cam01,cam03&in=${new Date(to - 6000).toISOString()}&out=${new Date(to).toISOString()}`);
    await until('two previews', 8, () => page.evaluate(() => [...document.querySelectorAll('.draw video')].filter((v) => v.readyState >= 1 && v.duration > 3).length === 2));
    const downloads = [];
    page.on('download', (d) => downloads.push(d.suggestedFilename()));
    await page.click('text=Unduh 2 video');
    await until('two files', 10, () => downloads.length === 2);
    downloads.sort(); // they come as they are ready
    check(downloads[0].startsWith('cam01_') && downloads[0].endsWith('_WIB.mp4'), downloads[0]);
  });

  test('clip: in and out, cameras, a note and the download, by keyboard alone', async () => {
    const { browser, server } = given();
    const p = await browser.page();
    try {
      const to = Math.floor((Date.now() - 6000) / 1000) * 1000;
      await enter(p, server, `#/clip?cam=cam01&in=${new Date(to - 30_000).toISOString()}&out=${new Date(to - 2000).toISOString()}`);
      await p.waitForSelector('.time-field');
      const field = (e, n) => e.matches('.time-field input') && document.querySelectorAll('.time-field input')[n] === e;
      const write = async (text) => {
        await p.keyboard.press('Control+A');
        await p.keyboard.type(text);
      };
      await tabTo(p, 'the field of the beginning', field, 0);
      await write(wib(to - 12_000));
      await tabTo(p, 'the field of the end', field, 1);
      check((await chosen(p)).from === to - 12_000, 'the typed beginning was not taken');
      await write(wib(to - 5000));
      await tabTo(p, 'five seconds later', (e) => e.textContent === '+5' && e.ariaLabel.startsWith('Akhir'));
      await p.keyboard.press('Enter');
      check((await chosen(p)).to === to, 'the end is not what was typed and moved');
      await tabTo(p, 'the note', (e) => e.matches('textarea'));
      await p.keyboard.type('Motor tanpa pelat');
      await tabTo(p, 'a camera', (e) => e.type === 'checkbox' && e.closest('label').textContent.includes('Mushola'));
      check((await chosen(p)).note === 'Motor tanpa pelat', 'the note was not taken');
      await p.keyboard.press(' ');
      check((await chosen(p)).cams === 'cam01,cam03', (await chosen(p)).cams);
      const files = [];
      p.on('download', (d) => files.push(d));
      await p.keyboard.press('Shift+Tab');
      for (let i = 0; i < 30 && !(await p.evaluate(() => document.activeElement.textContent.includes('Unduh 2 video'))); i++) await p.keyboard.press('Shift+Tab');
      await p.keyboard.press('Enter');
      await until('two videos and the note', 15, () => files.length === 3);
      files.sort((a, b) => a.suggestedFilename().localeCompare(b.suggestedFilename())); // they come as they are ready
      const names = files.map((d) => d.suggestedFilename());
      note(`made by keyboard: ${names.join(', ')}`);
      check(names[0].startsWith('cam01_') && names[1].startsWith('cam03_') && names[2].endsWith('.txt'), 'other files');
      check(readFileSync(await files[1].path()).subarray(4, 8).toString() === 'ftyp', 'not an MP4');
      check(readFileSync(await files[2].path(), 'utf8').includes('Motor tanpa pelat'), 'the note is not in its file');
      await until('how far it is, in words', 3, () => p.evaluate(() => /MB/.test(document.querySelector('.panel [role=status]').textContent)));
      check(p.problems.length === 0, p.problems.join());
    } finally {
      await p.context().close();
    }
  });
}
