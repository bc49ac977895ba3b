/* rules-trial.tsx - "run these rules over last night": what they would have told, before they are saved. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { api, iso, ms, type Trial } from '../api/client';
import { duration, number, t, tCode, zone } from '../i18n';
import { errorText, Failed, Field } from '../parts/basics';
import { TimeField } from '../parts/time-field';
import { useLoad } from '../parts/use-load';
import { href } from '../router';
import { serverNow } from '../time/server-clock';
import { HOUR } from '../time/zone';
import { lastNight } from './rules';

const LEAD = 5000;

function Progress({ trial, onStop }: { trial: Trial; onStop: () => void }) {
  const percent = Math.round(Math.min(1, trial.progress) * 100);
  return (
    <div class="job-progress">
      <div class="meter" role="progressbar" aria-label={t('trial.title')} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}><i style={{ width: `${percent}%` }} /></div>
      <div class="row">
        <span class="dim num grow">{percent} % · {trial.waiting ? t('trial.waiting') : t('trial.speed', { n: number(trial.speed ?? 0) })}</span>
        <button type="button" class="btn" onClick={onStop}>{t('trial.stop')}</button>
      </div>
    </div>
  );
}

function Found({ trial, camera }: { trial: Trial; camera: string }) {
  const events = [...trial.events].sort((a, b) => ms(a.start) - ms(b.start));
  const name = (e: { type: string; rule: string }): string => (e.rule ? `${tCode('event', e.type)}: ${e.rule}` : tCode('event', e.type));
  return (
    <>
      <p>{trial.from && trial.to && `${zone.value.full(ms(trial.from))} – ${zone.value.full(ms(trial.to))}`}
        {' · '}{t('trial.recorded', { length: duration((trial.recorded_seconds ?? 0) * 1000) })}</p>
      {trial.counts.length > 0 && <p class="row">{trial.counts.map((c) => <span key={`${c.type}/${c.rule}`} class="badge num">{name(c)} · {number(c.n)}</span>)}</p>}
      {trial.total === 0 && trial.state !== 'running' && <p>{t('trial.none')}</p>}
      {events.length < trial.total && <p class="dim">{t('trial.first', { n: events.length })}</p>}
      {events.length > 0 && (
        <div class="menu-list" style="max-height:48vh;overflow-y:auto">
          {events.map((e, i) => (
            <a key={i} class="num" href={href(['timeline'], { cam: camera, t: iso(ms(e.start) - LEAD), span: 600, play: 1 })}>
              <span class="grow">{zone.value.relative(ms(e.start), serverNow())}<br /><span class="dim">{name(e)}</span></span>
              <span class="dim">{duration(Math.max(1000, ms(e.end) - ms(e.start)))}</span>
            </a>
          ))}
        </div>
      )}
    </>
  );
}

export function RulesTrial({ camera, rules }: { camera: string; rules: () => Record<string, unknown> | null }) {
  const span = useSignal<'night' | 'hour' | 'other'>('night');
  const from = useSignal(serverNow() - 2 * HOUR);
  const to = useSignal(serverNow());
  const error = useSignal('');
  const starting = useSignal(false);
  const held = useRef<{ turn: number; events: Trial['events'] }>({ turn: 0, events: [] });
  // Only the events that are not here yet are asked for.
  const ask = async (): Promise<Trial> => {
    const { turn, events } = held.current;
    const answer = await api.trial(camera, events.length);
    const all = [...events, ...answer.events];
    if (held.current.turn === turn) held.current.events = all;
    return { ...answer, events: all };
  };
  const trial = useLoad(camera, ask, (v) => (v?.state === 'running' ? 1000 : 0));
  const start = async (): Promise<void> => {
    const now = serverNow();
    const [a, b] = span.value === 'night' ? lastNight(zone.value, now) : span.value === 'hour' ? [now - HOUR, now] : [from.value, to.value];
    error.value = '';
    starting.value = true;
    try {
      await api.startTrial(camera, rules(), a, b);
      held.current = { turn: held.current.turn + 1, events: [] };
      trial.reload();
    } catch (failure) {
      error.value = errorText(failure);
    } finally {
      starting.value = false;
    }
  };
  const stop = async (): Promise<void> => {
    try {
      await api.cancelTrial(camera);
    } catch (failure) {
      error.value = errorText(failure);
    }
    trial.reload();
  };
  const value = trial.value.value;
  const running = value?.state === 'running';
  return (
    <section class="panel" style="margin-top:12px" aria-label={t('trial.title')}>
      <h3>{t('trial.title')}</h3>
      <p class="dim">{t('trial.hint')}</p>
      <Field label={t('trial.span')}>{(id) => (
        <select id={id} value={span.value} disabled={running} onChange={(e) => { span.value = (e.currentTarget as HTMLSelectElement).value as 'night'; }}>
          <option value="night">{t('trial.night')}</option>
          <option value="hour">{t('trial.hour')}</option>
          <option value="other">{t('trial.other')}</option>
        </select>
      )}</Field>
      {span.value === 'other' && (
        <div class="row">
          <div class="grow"><TimeField label={t('trial.from')} value={from.value} onChange={(v) => { from.value = v; }} /></div>
          <div class="grow"><TimeField label={t('trial.to')} value={to.value} onChange={(v) => { to.value = v; }} /></div>
        </div>
      )}
      <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
      {!running && <button type="button" class="btn" disabled={starting.value} onClick={() => void start()}>{t('trial.start')}</button>}
      <div role="status" style="margin-top:10px">
        {trial.error.value !== null && <Failed error={trial.error.value} retry={trial.reload} />}
        {value && running && <Progress trial={value} onStop={() => void stop()} />}
        {value?.state === 'failed' && <p class="form-error">{t('trial.failed', { why: value.why ?? '' })}</p>}
        {value?.state === 'cancelled' && <p class="dim">{t('trial.stopped', { n: Math.round(value.progress * 100) })}</p>}
      </div>
      {value && value.state !== 'none' && <Found trial={value} camera={camera} />}
    </section>
  );
}
