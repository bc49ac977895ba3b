/* admin-cameras.tsx - the cameras: what each is doing; add, find, test, change, remove. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, ApiError, ms, type Camera, type CameraChange, type Probe } from '../api/client';
import { bitrate, duration, number, t, tCode } from '../i18n';
import { adviceText, whyText } from '../i18n/why';
import { Dialog, Empty, errorText, Field, Loading, toast, toastError } from '../parts/basics';
import { Icon } from '../parts/icons';
import { go } from '../router';
import { cameraById, cameras, codecName, refreshCameras } from '../state/cameras';
import { atLeast } from '../state/session';
import { serverNow } from '../time/server-clock';
import { backFrom, slug } from './camera-id';
import { RulesEditor } from './rules-editor';
import { TestResult } from './test-result';

export function StateBadge({ camera }: { camera: Camera }) {
  if (!camera.enabled) return <span class="badge plain">{tCode('camera', 'disabled')}</span>;
  if (!camera.recording) return <span class="badge bad">{t('tile.notRecording')}</span>;
  return <span class="badge ok"><i class="dot" />{tCode('camera', camera.state)}</span>;
}

function Row({ camera: c }: { camera: Camera }) {
  const last = c.last_frame ? serverNow() - ms(c.last_frame) : null;
  const facts = [codecName(c.codec), c.width ? `${c.width}×${c.height}` : '',
    c.fps ? `${number(c.fps, 1)} fps` : '', c.bitrate ? bitrate(c.bitrate) : ''].filter(Boolean).join(' · ');
  return (
    <tr>
      <td><div class="camera-card">
        {c.enabled && c.picture ? <img src={api.snapshotUrl(c.id, Math.floor(Date.now() / 60_000))} alt="" loading="lazy" /> : <span class="noimg" />}
        <div style="min-width:110px"><a href={`#/admin/cameras/${c.id}`}><strong>{c.name}</strong></a>
          <div class="dim">{c.id}{c.provisioned && ` · ${t('cameras.fromFile')}`}</div></div>
      </div></td>
      <td><StateBadge camera={c} />{c.why && <div class="dim" style="max-width:32ch">{whyText(c.why)}</div>}
        {(c.advice?.length ?? 0) > 0 && <a class="badge plain" href={`#/admin/cameras/${c.id}`}>{t('cameras.advice')}: {c.advice!.length}</a>}</td>
      <td class={facts ? 'num' : 'num none'}>{facts || '–'}</td>
      <td class={last === null ? 'num none' : 'num nowrap'}>{last === null ? '–' : t('cameras.ago', { age: duration(last) })}</td>
      <td class="num">{c.reconnects ?? 0}</td>
    </tr>
  );
}

export function CameraList() {
  const list = cameras.value;
  if (list === null) return <Loading />;
  return (
    <>
      {atLeast('admin') && (
        <div class="row" style="margin-bottom:12px">
          <a class="btn primary" href="#/admin/cameras/new"><Icon name="plus" />{t('cameras.add')}</a>
          <a class="btn" href="#/admin/cameras/find"><Icon name="search" />{t('cameras.discover')}</a>
        </div>
      )}
      {list.length === 0 ? <Empty icon="camera" title={t('wall.none')} /> : (
        <div class="panel table-wrap" tabIndex={0} role="region" aria-label={t('admin.cameras')}>
          <table class="list stack">
            <thead><tr><th>{t('cameras.name')}</th><th>{t('cameras.state')}</th><th>{t('cameras.picture')}</th><th>{t('cameras.last')}</th><th>{t('cameras.reconnects')}</th></tr></thead>
            <tbody>{list.map((c) => <Row key={c.id} camera={c} />)}</tbody>
          </table>
        </div>
      )}
    </>
  );
}

interface UrlFieldProps {
  name: string;
  label: string;
  hint: string;
  value: string;
  camera: string;
  disabled: boolean;
}

function UrlField({ name, label, hint, value, camera, disabled }: UrlFieldProps) {
  const probe = useSignal<Probe | null>(null);
  const busy = useSignal(false);
  const text = useSignal(value);
  const test = async (button: HTMLButtonElement): Promise<void> => {
    const transport = new FormData(button.form!).get('transport') as CameraChange['transport'] | null;
    busy.value = true;
    probe.value = null;
    try {
      probe.value = await api.testCamera({ url: text.value, ...(camera && { camera }), ...(transport && { transport }) });
    } catch (error) {
      probe.value = { ok: false, why: errorText(error) };
    } finally {
      busy.value = false;
    }
  };
  return (
    <>
      <Field label={label} hint={hint}>
        {(id) => (
          <div class="row" style="flex-wrap:nowrap">
            <input id={id} name={name} type="text" inputMode="url" autocapitalize="none" autocomplete="off" spellcheck={false} required={name === 'main'}
              value={text.value} disabled={disabled} onInput={(e) => { text.value = (e.currentTarget as HTMLInputElement).value; }} />
            <button type="button" class="btn" disabled={busy.value || !text.value} onClick={(e) => void test(e.currentTarget as HTMLButtonElement)}>{busy.value ? t('test.busy') : t('test.go')}</button>
          </div>
        )}
      </Field>
      <div role="status">{probe.value && <TestResult probe={probe.value} />}</div>
    </>
  );
}

export function CameraForm({ id }: { id: string }) {
  const isNew = id === 'new';
  const camera = useSignal<Camera | null>(null);
  const error = useSignal<unknown>(null);
  useEffect(() => {
    if (isNew) return;
    api.camera(id).then((c) => { camera.value = c; }, (e: unknown) => { error.value = e; });
  }, [id]);
  if (isNew && !atLeast('admin')) return <Empty icon="lock" title={t('error.forbidden')} />;
  if (error.value) return <Empty icon="camera" title={errorText(error.value)} />;
  if (!isNew && !camera.value) return <Loading />;
  return <Form camera={camera.value} />;
}

function readForm(form: FormData, isNew: boolean): CameraChange {
  const name = String(form.get('name')).trim();
  const change: CameraChange = {
    name, main: String(form.get('main')).trim(), sub: String(form.get('sub') ?? '').trim(), snapshot: String(form.get('snapshot') ?? '').trim(),
    transport: form.get('transport') as 'tcp', analysis: form.get('analysis') as 'adaptive', enabled: form.get('enabled') === 'on',
  };
  if (isNew) change.id = String(form.get('id') ?? '').trim() || slug(name, new Set(cameraById.value.keys()));
  return change;
}

function Form({ camera: c }: { camera: Camera | null }) {
  const error = useSignal('');
  const deleting = useSignal(false);
  const q = new URLSearchParams(location.hash.split('?')[1] ?? '');
  const back = backFrom(q);
  const locked = (c?.provisioned ?? false) || !atLeast('admin');
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const change = readForm(new FormData(e.currentTarget as HTMLFormElement), c === null);
    try {
      await (c ? api.changeCamera(c.id, change) : api.addCamera(change));
      await refreshCameras();
      toast(t('cameras.saved'));
      go(back);
    } catch (failure) {
      error.value = failure instanceof ApiError && failure.code === 'conflict' ? whyText(failure.message) : errorText(failure);
    }
  };
  const remove = async (): Promise<void> => {
    await api.deleteCamera(c!.id);
    await refreshCameras();
    go('#/admin/cameras');
  };
  return (
    <div class="split">
      <div>
        <form class="panel" onSubmit={(e) => void submit(e)}>
          <h2>{c ? c.name : t('cameras.add')}</h2>
          {c?.provisioned && <p class="dim">{t('cameras.fileHint')}</p>}
          <Field label={t('cameras.name')}>{(id) => <input id={id} name="name" type="text" maxLength={127} required defaultValue={c?.name ?? q.get('name') ?? ''} disabled={locked} />}</Field>
          <UrlField name="main" label={t('cameras.main')} hint={t('cameras.mainHint')} value={c?.main ?? q.get('url') ?? ''} camera={c?.id ?? ''} disabled={locked} />
          <UrlField name="sub" label={t('cameras.sub')} hint={t('cameras.subHint')} value={c?.sub ?? ''} camera={c?.id ?? ''} disabled={locked} />
          <UrlField name="snapshot" label={t('cameras.snapshot')} hint={t('cameras.snapshotHint')} value={c?.snapshot ?? ''} camera={c?.id ?? ''} disabled={locked} />
          <div class="row">
            <div class="grow"><Field label={t('cameras.transport')}>{(id) => (
              <select id={id} name="transport" value={c?.transport ?? 'tcp'} disabled={locked}><option value="tcp">TCP</option><option value="udp">UDP</option><option value="tls">TLS</option><option value="libav">libav</option></select>
            )}</Field></div>
            <div class="grow"><Field label={t('cameras.analysis')}>{(id) => (
              <select id={id} name="analysis" value={c?.analysis ?? 'adaptive'} disabled={locked}>
                {(['adaptive', 'full', 'keyframes', 'off'] as const).map((a) => <option key={a} value={a}>{t(`analysis.${a}`)}</option>)}
              </select>
            )}</Field></div>
          </div>
          <label class="check"><input type="checkbox" name="enabled" defaultChecked={c?.enabled ?? true} disabled={locked} />{t('cameras.enabled')}</label>
          <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
          <div class="row">
            {!locked && <button class="btn primary">{t('action.save')}</button>}
            <a class="btn" href={back}>{t('action.back')}</a>
            <span class="grow" />
            {c && !locked && <button type="button" class="btn danger" onClick={() => { deleting.value = true; }}><Icon name="trash" />{t('action.delete')}</button>}
          </div>
        </form>
        {c && <RulesEditor camera={c} locked={locked} />}
      </div>
      {c && <Facts camera={c} />}
      {deleting.value && c && (
        <Dialog title={t('cameras.deleteTitle', { name: c.name })} onClose={() => { deleting.value = false; }} footer={<>
          <button type="button" class="btn" onClick={() => { deleting.value = false; }}>{t('action.cancel')}</button>
          <button type="button" class="btn danger" onClick={() => { remove().catch(toastError); }}>{t('action.delete')}</button>
        </>}><p>{t('cameras.deleteHint')}</p></Dialog>
      )}
    </div>
  );
}

/* "+7 jam": what its own clock says differs by that from the recorder's. */
function clockText(seconds: number): string {
  if (Math.abs(seconds) < 1) return t('cameras.clockExact');
  return `${seconds > 0 ? '+' : '−'}${duration(Math.abs(seconds) * 1000)}`;
}

function Facts({ camera: c }: { camera: Camera }) {
  const rows: [string, string][] = [
    [t('cameras.codec'), c.codec ? `${codecName(c.codec)} ${c.width ?? ''}×${c.height ?? ''}` : '–'],
    [t('cameras.fps'), c.fps ? number(c.fps, 1) + (c.fps_nominal ? ` (${t('cameras.says', { n: number(c.fps_nominal, 1) })})` : '') : '–'],
    [t('cameras.bitrate'), c.bitrate ? bitrate(c.bitrate) : '–'],
    [t('cameras.gop'), c.gop_seconds ? `${number(c.gop_seconds, 1)} ${t('unit.s')}` : '–'],
    [t('cameras.reconnects'), number(c.reconnects ?? 0)],
    [t('cameras.lost'), number(c.lost_packets ?? 0)],
    [t('cameras.errors'), number(c.decode_errors ?? 0)],
    [t('cameras.clock'), c.clock_offset_seconds === undefined ? '–' : clockText(c.clock_offset_seconds)],
  ];
  return (
    <section class="panel" style="align-self:start">
      <h2><StateBadge camera={c} /></h2>
      {c.why && <p>{whyText(c.why)}</p>}
      <dl class="kv num">{rows.map(([k, v]) => <><dt>{k}</dt><dd>{v}</dd></>)}</dl>
      {(c.advice?.length ?? 0) > 0 && <><h3>{t('cameras.advice')}</h3><ul class="advice">{c.advice!.map((a) => <li key={a}>{adviceText(a)}</li>)}</ul></>}
    </section>
  );
}
