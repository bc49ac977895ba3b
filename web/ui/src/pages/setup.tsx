/* setup.tsx - the first start: a password of one's own, is the disk right, the cameras. */
import { useSignal } from '@preact/signals';
import { api, type Ring, type System } from '../api/client';
import { bytes, duration, t } from '../i18n';
import { whyText } from '../i18n/why';
import { Empty, Failed, Loading } from '../parts/basics';
import { Icon } from '../parts/icons';
import { PasswordForm } from '../parts/password-form';
import { useLoad } from '../parts/use-load';
import { cameras } from '../state/cameras';
import { atLeast, session } from '../state/session';
import { DAY } from '../time/zone';
import { StateBadge } from './admin-cameras';

type Step = 'password' | 'disk' | 'cameras' | 'done';
const ORDER: Step[] = ['password', 'disk', 'cameras', 'done'];
const TITLES = { password: 'setup.password', disk: 'setup.disk', cameras: 'setup.cameras', done: 'setup.done' } as const;

function StepList({ at, onGo }: { at: Step; onGo: (s: Step) => void }) {
  const here = ORDER.indexOf(at);
  return (
    <ol class="steps">
      {ORDER.slice(0, 3).map((s, n) => (
        <li key={s} class={n < here ? 'done' : n === here ? 'now' : ''} aria-current={n === here ? 'step' : undefined}>
          {n < here ? <button type="button" class="step-back" onClick={() => onGo(s)}><span class="n"><Icon name="check" size={16} /></span><span>{t(TITLES[s])}</span></button>
            : <><span class="n" aria-hidden="true">{n + 1}</span><span>{t(TITLES[s])}</span></>}
        </li>
      ))}
    </ol>
  );
}

function PasswordStep({ onNext }: { onNext: () => void }) {
  const must = session.value?.must_change_password === true;
  return (
    <section class="panel">
      <h2>{t('setup.password')}</h2>
      <p>{must ? t('password.generated') : t('setup.passwordOwn')}</p>
      {must ? <PasswordForm onDone={onNext} /> : <button type="button" class="btn primary tall" onClick={onNext}>{t('setup.next')}</button>}
    </section>
  );
}

function RingLine({ ring: r }: { ring: Ring }) {
  const ok = r.state === 'ok';
  return (
    <li>
      <div class="row"><Icon name="disk" /><span class="grow"><strong>{t('storage.ring', { name: r.name })}</strong>
        <br /><span class="dim num">{bytes(r.size)}{r.days ? ` · ${t('setup.days', { days: duration(r.days * DAY) })}` : ''}</span></span>
        <span class={`badge ${ok ? 'ok' : 'bad'}`}>{ok ? t('storage.ok') : t('tile.notRecording')}</span></div>
      {r.too_small && <p class="notice warn rounded" style="margin:6px 0 0">{t('storage.tooSmall', { days: duration((r.days ?? 0) * DAY) })}</p>}
      {r.why && <p class="form-error" style="margin:6px 0 0">{whyText(r.why)}</p>}
    </li>
  );
}

function DiskStep({ onNext }: { onNext: () => void }) {
  const { value, error, reload } = useLoad<System>('system', () => api.system(), () => 3000);
  const s = value.value;
  if (!s) return error.value ? <Failed error={error.value} retry={reload} /> : <Loading />;
  const bad = !s.recording || s.rings.some((r) => r.state !== 'ok');
  return (
    <section class="panel">
      <h2>{t('setup.disk')}</h2>
      <p>{bad ? t('setup.diskBad') : t('setup.diskGood')}</p>
      <ul class="plain-list">{s.rings.map((r) => <RingLine key={r.name} ring={r} />)}</ul>
      {s.clock_synchronised === false && <p class="notice warn rounded"><Icon name="warning" /><span>{t('setup.clockBad')}</span></p>}
      <p class="dim">{t('setup.diskHint')}</p>
      <button type="button" class={`btn tall${bad ? '' : ' primary'}`} onClick={onNext}>{bad ? t('setup.later') : t('setup.next')}</button>
    </section>
  );
}

function CameraStep({ onNext }: { onNext: () => void }) {
  const list = cameras.value;
  if (list === null) return <Loading />;
  return (
    <section class="panel">
      <h2>{t('setup.cameras')}</h2>
      <p>{t('setup.camerasHint')}</p>
      {list.length === 0 ? <Empty icon="camera" title={t('wall.none')} />
        : <ul class="plain-list">{list.map((c) => <li key={c.id} class="row"><Icon name="camera" /><span class="grow"><strong>{c.name}</strong>{c.why && <><br /><span class="dim">{whyText(c.why)}</span></>}</span><StateBadge camera={c} /></li>)}</ul>}
      <div class="row">
        <a class={`btn tall${list.length === 0 ? ' primary' : ''}`} href="#/admin/cameras/find?back=setup"><Icon name="search" />{t('cameras.discover')}</a>
        <a class="btn tall" href="#/admin/cameras/new?back=setup"><Icon name="plus" />{t('setup.byAddress')}</a>
        <span class="grow" />
        <button type="button" class={`btn tall${list.length > 0 ? ' primary' : ''}`} onClick={onNext}>{list.length > 0 ? t('setup.finish') : t('setup.later')}</button>
      </div>
    </section>
  );
}

function Done() {
  return (
    <Empty icon="check" title={t('setup.doneTitle')}>
      <p>{t('setup.doneHint')}</p>
      <div class="row" style="justify-content:center"><a class="btn primary tall" href="#/live">{t('setup.toWall')}</a><a class="btn tall" href="#/admin/users">{t('setup.toUsers')}</a></div>
    </Empty>
  );
}

function firstStep(): Step {
  if (session.value?.must_change_password) return 'password';
  return new URLSearchParams(location.hash.split('?')[1] ?? '').get('step') === 'cameras' ? 'cameras' : 'disk';
}

export function SetupPage() {
  const step = useSignal<Step>(firstStep());
  const next = (): void => { step.value = ORDER[ORDER.indexOf(step.value) + 1] ?? 'done'; };
  const at = !atLeast('admin') ? 'password' : step.value; // others have a password at most
  return (
    <>
      <div class="bar"><h1 class="grow">{t('setup.title')}</h1></div>
      <div class="content"><div class="narrow">
        {atLeast('admin') && <StepList at={at} onGo={(s) => { step.value = s; }} />}
        {at === 'password' && <PasswordStep onNext={next} />}
        {at === 'disk' && <DiskStep onNext={next} />}
        {at === 'cameras' && <CameraStep onNext={next} />}
        {at === 'done' && <Done />}
      </div></div>
    </>
  );
}
