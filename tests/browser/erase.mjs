/* erase.mjs - a stretch of one camera is taken out for good. The tests are part of people.mjs. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { axe, check, enter, KENTONGAN, note, test, until, visit } from './kt.mjs';

const REASON = 'Diminta keluarga rumah 12 <b>';
const iso = (ms) => new Date(ms).toISOString();
const place = (camera, from, to) => `#/erase?cam=${camera}&in=${iso(from)}&out=${iso(to)}`;

/** Press Tab until WHAT (in the page: whether the focused element is it) holds. */
async function tabTo(p, name, what) {
  for (let i = 0; i < 80; i++) {
    await p.keyboard.press('Tab');
    if (await p.evaluate(`(${what})(document.activeElement)`)) return;
  }
  throw new Error(`${name} is not reached with Tab`);
}

export function eraseTests(given, head, word) {
  const api = (method, path, body) => given().server.api(method, path, body);
  const says = (p, text) => p.waitForSelector(`text=${text}`);
  const recorded = async (camera, from, to) => (await api('GET', `/cameras/${camera}/segments?from=${iso(from)}&to=${iso(to)}`)).items
    .filter((s) => Date.parse(s.start) < to && Date.parse(s.start) + s.duration * 1000 > from).length;
  /* A stretch of LENGTH ms that is recorded from end to end. */
  const stretch = (camera, length) => until(`${length / 1000} s of ${camera} are recorded`, 40, async () => {
    const to = Math.floor(Date.now() / 1000) * 1000 - 4000;
    const { items } = await api('GET', `/cameras/${camera}/segments?from=${iso(to - length)}&to=${iso(to)}`);
    const last = items[items.length - 1];
    return last && Date.parse(items[0].start) <= to - length && Date.parse(last.start) + last.duration * 1000 >= to - 500 && { from: to - length, to };
  }, 500);
  const erased = async (camera, from, to) => (await api('GET', `/timeline?camera=${camera}&from=${iso(from)}&to=${iso(to)}`)).cameras[0].gaps
    .some((g) => g.reason === 'erased');

  test('an administrator erases a stretch by keyboard alone: what goes and stays is said, a reason is needed, the gap is shown', async () => {
    const { browser, server } = given();
    const p = await browser.page();
    try {
      const { from, to } = await stretch('cam01', 4000);
      await enter(p, server, `#/clip?cam=cam01&in=${iso(from)}&out=${iso(to)}`);
      await says(p, 'Hapus rekaman …');
      await tabTo(p, 'the way to it', (e) => e.textContent.includes('Hapus rekaman'));
      await p.keyboard.press('Enter');
      await says(p, 'Yang hilang selamanya');
      const told = await p.textContent('.prose');
      for (const words of ['Gerbang Utara', 'gambar besar dan kecil', 'sesudah dihapus, perekam tidak punya salinannya lagi', 'siapa yang menghapusnya'])
        check(told.includes(words), `not told: ${words}\n${told}`);
      check(await p.locator('button.danger').isDisabled(), 'it can be erased without a reason');
      await tabTo(p, 'the reason', (e) => e.matches('textarea'));
      await p.keyboard.type(REASON);
      await tabTo(p, 'the button', (e) => e.matches('button.danger'));
      await p.keyboard.press('Enter');
      await says(p, 'Ini tidak dapat dibatalkan');
      const asked = await p.textContent('dialog');
      check(asked.includes('Gerbang Utara') && asked.includes('(4 dtk)') && asked.includes(REASON), asked);
      check(await p.evaluate(() => !document.activeElement.matches('dialog .danger')), 'one press of Enter too many would erase');
      await p.keyboard.press('Escape');
      await until('the question is gone', 5, () => p.evaluate(() => !document.querySelector('dialog')));
      check(await recorded('cam01', from, to) > 0 && !(await erased('cam01', from, to)), 'Escape erased it');
      await p.locator('button.danger').focus();
      await p.keyboard.press('Enter');
      await tabTo(p, 'the last word', (e) => e.matches('dialog .danger'));
      await p.keyboard.press('Enter');
      await says(p, 'Sudah dihapus');
      check(await p.evaluate(() => document.activeElement.textContent.includes('Sudah dihapus')), 'the focus is not on the result');
      check(await recorded('cam01', from + 1200, to - 1200) === 0 && await erased('cam01', from, to), 'it is still there');
      check(await recorded('cam02', from, to) > 0, 'another camera lost its recording');
      await tabTo(p, 'the way to the gap', (e) => e.textContent.includes('Lihat di rekaman'));
      await p.keyboard.press('Enter');
      await says(p, 'sengaja dihapus');
      const line = (await api('GET', '/audit?action=erase')).items[0];
      check(line.object === 'cam01' && line.who === 'admin' && line.detail.reason === REASON && line.detail.complete, JSON.stringify(line));
      await visit(p, '#/admin/audit');
      await says(p, `menghapus rekaman: Gerbang Utara, ${REASON}`);
      check(p.problems.length === 0, p.problems.join());
    } finally {
      await p.context().close();
    }
  });

  test('evidence stays: what is held survives the erasure, and while it is being copied nothing is erased', async () => {
    const { browser, server } = given();
    const p = await browser.page();
    try {
      const { from, to } = await stretch('cam03', 5000);
      const held = await api('POST', '/incidents', { title: 'Ditahan', from: iso(from), to: iso(to), cameras: ['cam03'] });
      await api('POST', `/incidents/${held.id}/holds`, { stream: 'main' });
      await until('it is held', 30, async () => (await api('GET', `/incidents/${held.id}`)).holds.every((h) => h.state === 'done'));
      await enter(p, server, place('cam03', from, to));
      await says(p, `1 bagian pada waktu ini, insiden`);
      await p.fill('textarea', REASON);
      await p.click('button.danger');
      await says(p, 'Yang sudah diamankan di brankas bukti tetap ada');
      await p.click('dialog .danger');
      await says(p, 'Sudah dihapus');
      check(await recorded('cam03', from + 1200, to - 1200) === 0, 'it is still there');
      const { id } = await api('POST', '/exports', { incident: held.id, officer: 'Bripka Hadi', purpose: 'Penyidikan' });
      await until('the package is made', 60, async () => (await api('GET', `/exports/${id}`)).state === 'done');
      const file = join(server.folder, 'held.zip');
      const answer = await fetch(`${server.base}/api/v1/exports/${id}/package.zip`, { headers: { Cookie: server.cookie } });
      writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
      note(execFileSync(KENTONGAN, ['verify', file], { encoding: 'utf8' }).trim().split('\n').pop());

      const later = await api('POST', '/incidents', { title: 'Menunggu', from: iso(to), to: iso(Date.now() + 3600_000), cameras: ['cam03'] });
      const { items: [waiting] } = await api('POST', `/incidents/${later.id}/holds`, { stream: 'main' });
      await visit(p, '#/incidents'); // the page asks anew
      await says(p, 'Menunggu');
      await visit(p, place('cam03', to, to + 2000));
      await says(p, 'sedang disalin sebagai bukti');
      await p.fill('textarea', REASON);
      check(await p.locator('button.danger').isDisabled(), 'the button is offered while evidence is being copied');
      const refused = await api('DELETE', `/cameras/cam03/recordings?from=${iso(to)}&to=${iso(to + 2000)}`, { reason: REASON }).catch((e) => String(e));
      check(String(refused).includes('409') && String(refused).includes('being-held'), JSON.stringify(refused));
      await api('DELETE', `/holds/${waiting.id}`);
      check(p.problems.length === 0, p.problems.join());
    } finally {
      await p.context().close();
    }
  });

  test('only an administrator is offered to erase; wrong spans are said', async () => {
    const { browser, server } = given();
    const p = await browser.page();
    const a = await browser.page();
    try {
      const now = Date.now();
      await enter(p, server, `#/clip?cam=cam01&in=${iso(now - 9000)}&out=${iso(now - 5000)}`, head, word);
      await says(p, 'Jadikan insiden');
      check(await p.locator('text=Hapus rekaman').count() === 0, 'the head is offered what the server refuses');
      await visit(p, place('cam01', now - 9000, now - 5000));
      await says(p, 'Anda tidak berhak melakukan ini');
      await enter(a, server, place('cam01', now - 5000, now - 9000));
      await says(a, 'Akhir harus sesudah awal');
      await visit(a, place('cam01', now - 5000, now + 3600_000));
      await says(a, 'Yang belum direkam tidak dapat dihapus');
      await visit(a, place('cam01', now - 25 * 3600_000, now));
      await says(a, 'Paling lama satu hari sekaligus');
      await visit(a, place('cam01', now - 5 * 3600_000, now - 2.5 * 3600_000)); // three parts, and nothing in them
      await a.fill('textarea', REASON);
      await a.click('button.danger');
      await a.click('dialog .danger');
      await says(a, 'tidak ada yang dihapus');
      check((await api('GET', '/audit?action=erase')).items.filter((x) => x.detail.records === 0).length === 3, 'not in three parts');
      const other = a.problems.filter((x) => !/404.*clip\.mp4/.test(x)); // the preview of nothing
      check(other.length === 0, other.join());
    } finally {
      await p.context().close();
      await a.context().close();
    }
  });

  for (const [kind, size] of [['desktop, dark', {}], ['phone, light, English', { width: 360, height: 800, scheme: 'light', language: 'en' }]])
    test(`erasing is free of accessibility defects and fits: page, question and result (axe, ${kind})`, async () => {
      const { browser, server } = given();
      const p = await browser.page(size);
      try {
        const { to } = await stretch('cam02', 2000);
        const bad = [];
        const look = async (name) => {
          bad.push(...(await axe(p, name)));
          const wide = await p.evaluate(() => document.documentElement.scrollWidth);
          if (wide > (size.width ?? 1280)) bad.push(`${name} is ${wide} px wide`);
        };
        await enter(p, server, place('cam02', to - 2000, to));
        await p.waitForSelector('.prose li');
        await look('page');
        await p.fill('textarea', REASON);
        await p.click('button.danger');
        await p.waitForSelector('dialog .danger');
        await look('question');
        await p.click('dialog .danger');
        await p.waitForSelector('[tabindex="-1"] .btn');
        await look('result');
        check(bad.length === 0, `\n${bad.join('\n')}`);
        check(p.problems.length === 0, p.problems.join());
      } finally {
        await p.context().close();
      }
    });
}

/** Pictures for docs/screens/; the span is erased by the last of them. */
export async function eraseScreens(p, shot, language) {
  const to = Math.floor(Date.now() / 1000) * 1000 - 8000;
  await visit(p, place('cam02', to - 3000, to));
  await p.waitForSelector('.prose li');
  await p.fill('textarea', language === 'id' ? 'Diminta Bu Sari, rumah 12: anaknya terekam' : 'Asked for by Mrs Sari, house 12: her child was recorded');
  await until('its picture', 8, () => p.evaluate(() => document.querySelector('video')?.readyState >= 2));
  await shot('erase');
  await p.click('button.danger');
  await p.waitForSelector('dialog .danger');
  await shot('erase-ask');
  await p.click('dialog .danger');
  await p.waitForSelector('[tabindex="-1"] .btn');
  await shot('erase-done');
  await p.click('[tabindex="-1"] .btn');
  await p.waitForSelector(`text=${language === 'id' ? 'sengaja dihapus' : 'erased on purpose'}`);
  await shot('erase-gap');
}
