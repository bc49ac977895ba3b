/* admin-system.tsx - how the recorder is doing, in words: disk, days kept, clock, load, each camera. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, ms, msOr, type Ring, type System } from '../api/client';
import { bytes, duration, number, t, zone } from '../i18n';
import { Failed, Loading, useInterval } from '../parts/basics';
import { cameras } from '../state/cameras';
import { serverNow } from '../time/server-clock';
import { DAY } from '../time/zone';

const PERIOD = 5000;

function Stat({ value, label, bad }: { value: string; label: string; bad?: boolean }) {
  return <div class={`stat${bad ? ' bad' : ''}`}><b>{value}</b><span>{label}</span></div>;
}

/** "Gerbang, Pos · large pictures": what a ring is for. */
function purpose(r: Ring): string {
  const name = (id: string): string => (cameras.value ?? []).find((c) => c.id === id)?.name ?? id;
  const parts = [r.cameras ? r.cameras.map(name).join(', ') : t('storage.everyCamera')];
  if (r.only === 'events') parts.push(t('storage.events'));
  if (r.streams === 'main') parts.push(t('storage.main'));
  if (r.streams === 'sub') parts.push(t('storage.sub'));
  return parts.join(' · ');
}

function RingPanel({ ring: r }: { ring: Ring }) {
  const oldest = msOr(r.oldest);
  const kept = oldest === null ? 0 : serverNow() - oldest;
  const full = r.days ? Math.min(1, kept / (r.days * DAY)) : 0;
  const trouble = (r.lost_intervals ?? 0) + (r.corrupt_records ?? 0) + (r.dropped_chunks ?? 0);
  return (
    <section class="panel">
      <h2>{t('storage.ring', { name: r.name })} {r.state === 'ok' ? <span class="badge ok"><i class="dot" />{t('storage.ok')}</span> : <span class="badge bad">{t('tile.notRecording')}</span>}</h2>
      {r.why && <p class="form-error">{r.why}</p>}
      {r.too_small && <p class="notice warn" style="margin-bottom:10px">{t('storage.tooSmall', { days: duration((r.days ?? 0) * DAY) })}</p>}
      <div class="meter" role="img" aria-label={t('storage.filled', { percent: number(full * 100) })}><i style={{ width: `${full * 100}%` }} /></div>
      <p class="dim" style="margin-top:6px">{r.days ? t('storage.holds', { size: bytes(r.size), days: duration(r.days * DAY) }) : t('storage.holdsUnknown', { size: bytes(r.size) })}</p>
      <dl class="kv num">
        <dt>{t('storage.for')}</dt><dd>{purpose(r)}</dd>
        <dt>{t('storage.held')}</dt><dd>{r.days_held ? duration(r.days_held * DAY) : '–'}</dd>
        <dt>{t('storage.oldest')}</dt><dd>{oldest === null ? '–' : zone.value.full(oldest)}</dd>
        <dt>{t('storage.rate')}</dt><dd>{r.bytes_per_second ? `${bytes(r.bytes_per_second)}/s · ${bytes(r.bytes_per_second * 86400)} ${t('storage.perDay')}` : '–'}</dd>
        {r.path && <><dt>{t('storage.path')}</dt><dd>{r.path}</dd></>}
        <dt>{t('storage.trouble')}</dt><dd>{trouble === 0 ? t('storage.noTrouble') : t('storage.troubles', { lost: r.lost_intervals ?? 0, bad: r.corrupt_records ?? 0, dropped: r.dropped_chunks ?? 0 })}</dd>
      </dl>
    </section>
  );
}

function Overview({ s }: { s: System }) {
  const list = (cameras.value ?? []).filter((c) => c.enabled);
  const recording = list.filter((c) => c.recording).length;
  /* The ring that forgets first, of those that record all the time. */
  const days = s.rings.filter((r) => r.only !== 'events' && r.days).map((r) => r.days!).sort((a, b) => a - b)[0];
  return (
    <div class="summary">
      <Stat value={`${recording}/${list.length}`} label={t('system.recording')} bad={recording < list.length || !s.recording} />
      <Stat value={days ? duration(days * DAY) : '–'} label={t('system.days')} />
      {s.load?.cpu_percent !== undefined && <Stat value={`${number(s.load.cpu_percent)} %`} label={t('system.cpu', { n: s.load.cores ?? 1 })} />}
      {s.load?.memory_bytes !== undefined && <Stat value={bytes(s.load.memory_bytes)} label={t('system.memory')} />}
      <Stat value={number(s.viewers.count)} label={t('system.viewers')} />
    </div>
  );
}

export function SystemPanel() {
  const system = useSignal<System | null>(null);
  const error = useSignal<unknown>(null);
  const load = (): void => {
    api.system().then((s) => { system.value = s; error.value = null; }, (e: unknown) => { error.value = e; });
  };
  useEffect(load, []);
  useInterval(() => { if (!document.hidden) load(); }, PERIOD);
  const s = system.value;
  if (!s) return error.value ? <Failed error={error.value} retry={load} /> : <Loading />;
  return (
    <>
      {!s.recording && <p class="notice" role="alert" style="margin-bottom:12px"><strong>{t('notice.notRecording')}</strong></p>}
      <Overview s={s} />
      {s.analysis?.degraded && <p class="notice warn">{t('system.degraded')}</p>}
      {s.rings.map((r) => <RingPanel key={r.name} ring={r} />)}
      <section class="panel">
        <h2>{t('system.machine')}</h2>
        <dl class="kv num">
          <dt>{t('system.time')}</dt><dd>{zone.value.full(ms(s.time))}{s.clock_synchronised === false && <span class="badge warn" style="margin-left:8px">{t('system.clockBad')}</span>}
            {s.clock_synchronised === true && <span class="dim"> · {t('system.clockGood')}</span>}</dd>
          <dt>{t('system.running')}</dt><dd>{duration(ms(s.time) - ms(s.started))}</dd>
          <dt>{t('system.sent')}</dt><dd>{bytes(s.viewers.bytes_sent ?? 0)}{s.viewers.frames_dropped ? ` · ${t('system.dropped', { n: number(s.viewers.frames_dropped) })}` : ''}</dd>
          <dt>{t('system.version')}</dt><dd>{s.version}</dd>
        </dl>
      </section>
    </>
  );
}
