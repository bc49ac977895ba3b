/* admin-find.tsx - search the network for cameras, look at them, add many at once with one password. */
import { signal, useComputed, useSignal, type Signal } from '@preact/signals';
import { api, type Probe } from '../api/client';
import { t } from '../i18n';
import { whyText } from '../i18n/why';
import { errorText, Field, toast } from '../parts/basics';
import { Icon } from '../parts/icons';
import { go } from '../router';
import { cameraById, cameras, refreshCameras } from '../state/cameras';
import { backFrom } from './camera-id';
import { candidates, toCamera, withLogin, type Candidate } from './find';
import { TestResult } from './test-result';

/* What was found, and what the person makes of it. */
interface Row {
  camera: Candidate;
  chosen: Signal<boolean>;
  name: Signal<string>;
  probe: Signal<Probe | 'busy' | null>;
  failed: Signal<string>;
}

/* The login that the search used: what was typed since counts at the next one. */
interface Login {
  user: string;
  password: string;
}

const back = (): string => backFrom(new URLSearchParams(location.hash.split('?')[1] ?? ''));

const usable = (c: Candidate): boolean => c.main !== '' && !c.known;

const rowOf = (camera: Candidate): Row => ({
  camera, chosen: signal(usable(camera)), name: signal(camera.name), probe: signal<Probe | 'busy' | null>(null), failed: signal(''),
});

function stateText(c: Candidate): string {
  if (c.known) return t('find.known');
  if (c.state === 'password-needed') return t('find.needs.password-needed');
  if (c.state === 'wrong-password') return t('find.needs.wrong-password');
  return c.main ? '' : whyText(c.why);
}

async function look(row: Row, login: Login): Promise<void> {
  row.probe.value = 'busy';
  try {
    row.probe.value = await api.testCamera({ url: withLogin(row.camera.main, login.user, login.password) });
  } catch (error) {
    row.probe.value = { ok: false, why: errorText(error) };
  }
}

function FoundRow({ row, login, busy }: { row: Row; login: Login; busy: boolean }) {
  const c = row.camera;
  const probe = row.probe.value;
  const byHand = `#/admin/cameras/new?url=${encodeURIComponent(c.main || `rtsp://${c.address}/`)}&name=${encodeURIComponent(c.name)}&back=${back() === '#/admin/cameras' ? '' : 'setup'}`;
  return (
    <li>
      <label class="check"><input type="checkbox" aria-label={row.name.value} checked={row.chosen.value} disabled={!usable(c) || busy}
        onInput={(e) => { row.chosen.value = (e.currentTarget as HTMLInputElement).checked; }} /></label>
      <div class="grow">
        {usable(c) ? <input type="text" maxLength={127} aria-label={t('find.nameOf', { address: c.address })} value={row.name.value} disabled={busy}
          onInput={(e) => { row.name.value = (e.currentTarget as HTMLInputElement).value; }} /> : <strong>{c.name}</strong>}
        <div class="dim">{[c.address, c.hardware, stateText(c)].filter(Boolean).join(' · ')}</div>
        {row.failed.value && <p class="form-error" role="alert">{row.failed.value}</p>}
        <div role="status">{probe && probe !== 'busy' && <TestResult probe={probe} />}</div>
      </div>
      {usable(c)
        ? <button type="button" class="btn" disabled={probe === 'busy' || busy} onClick={() => void look(row, login)}>{probe === 'busy' ? t('test.busy') : t('find.look')}</button>
        : !c.known && <a class="btn" href={byHand}>{t('find.byHand')}</a>}
    </li>
  );
}

/* One after the other: each is started before the next is added, and says by itself why not. */
async function addAll(rows: readonly Row[], login: Login, done: Signal<number>): Promise<number> {
  const taken = new Set(cameraById.value.keys());
  let failed = 0;
  for (const row of rows) {
    const change = toCamera(row.camera, row.name.value.trim() || row.camera.address, login.user, login.password, taken);
    try {
      await api.addCamera(change);
      taken.add(change.id);
      row.chosen.value = false;
      row.camera = { ...row.camera, known: true };
    } catch (error) {
      row.failed.value = whyText(errorText(error));
      failed++;
    }
    done.value++;
  }
  return failed;
}

function Results({ rows, login }: { rows: Row[]; login: Login }) {
  const done = useSignal(-1);
  const total = useSignal(0);
  const chosen = useComputed(() => rows.filter((r) => r.chosen.value));
  const busy = done.value >= 0;
  const add = async (): Promise<void> => {
    const wanted = chosen.value;
    total.value = wanted.length;
    done.value = 0;
    const failed = await addAll(wanted, login, done);
    await refreshCameras().catch(() => undefined);
    done.value = -1;
    toast(failed ? t('find.failed', { n: failed }) : t('find.added', { n: wanted.length }), failed > 0);
    if (!failed) go(back());
  };
  if (rows.length === 0) return <p>{t('cameras.noneFound')}</p>;
  const all = rows.filter((r) => usable(r.camera));
  return (
    <section class="panel">
      <h2>{t('find.found', { n: rows.length })}</h2>
      {all.length > 1 && <label class="check"><input type="checkbox" checked={chosen.value.length === all.length} disabled={busy}
        onInput={(e) => { for (const r of all) r.chosen.value = (e.currentTarget as HTMLInputElement).checked; }} />{t('find.all')}</label>}
      <ul class="found-list">{rows.map((r) => <FoundRow key={r.camera.key} row={r} login={login} busy={busy} />)}</ul>
      <div class="row" aria-live="polite">
        <button type="button" class="btn primary" disabled={busy || chosen.value.length === 0} onClick={() => void add()}>
          <Icon name="plus" />{busy ? t('find.adding', { done: done.value, n: total.value }) : t('find.add', { n: chosen.value.length })}
        </button>
      </div>
    </section>
  );
}

export function FindCameras() {
  const rows = useSignal<Row[] | null>(null);
  const login = useSignal<Login>({ user: '', password: '' });
  const busy = useSignal(false);
  const error = useSignal('');
  const search = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string): string => String(form.get(name) ?? '').trim();
    const ask: { range?: string; user?: string; password?: string } = {};
    if (text('range')) ask.range = text('range');
    if (text('user')) {
      ask.user = text('user');
      ask.password = String(form.get('password') ?? '');
    }
    busy.value = true;
    error.value = '';
    rows.value = null;
    try {
      const { items } = await api.discover(ask);
      login.value = { user: ask.user ?? '', password: ask.password ?? '' };
      rows.value = candidates(items, (cameras.value ?? []).map((c) => c.main ?? '')).map(rowOf);
    } catch (failure) {
      error.value = errorText(failure);
    } finally {
      busy.value = false;
    }
  };
  return (
    <>
      <form class="panel" onSubmit={(e) => void search(e)}>
        <h2>{t('find.title')}</h2>
        <p class="dim">{t('find.hint')}</p>
        <div class="row">
          <div class="grow"><Field label={t('find.user')}>{(id) => <input id={id} name="user" type="text" autocapitalize="none" autocomplete="off" spellcheck={false} maxLength={63} />}</Field></div>
          <div class="grow"><Field label={t('find.password')}>{(id) => <input id={id} name="password" type="password" autocomplete="off" maxLength={127} />}</Field></div>
        </div>
        <Field label={t('find.range')} hint={t('find.rangeHint')}>{(id) => <input id={id} name="range" type="text" inputMode="url" autocapitalize="none" autocomplete="off" spellcheck={false} />}</Field>
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <div class="row">
          <button class="btn primary" disabled={busy.value}><Icon name="search" />{busy.value ? t('find.busy') : t('find.go')}</button>
          <a class="btn" href={back()}>{t('action.back')}</a>
        </div>
        <div role="status">{busy.value && <div class="spinner" />}</div>
      </form>
      {rows.value && <Results rows={rows.value} login={login.value} />}
    </>
  );
}
