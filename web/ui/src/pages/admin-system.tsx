/* admin-system.tsx - how the recorder is doing, in words: disk, days kept, clock, load, each camera. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, ms, msOr, type Ring, type System } from '../api/client';
import { people } from '../api/people';
import { bytes, duration, number, t, zone } from '../i18n';
import { whyText } from '../i18n/why';
import { Failed, Loading, useInterval } from '../parts/basics';
import { useLoad } from '../parts/use-load';
import { cameras } from '../state/cameras';
import { atLeast } from '../state/session';
import { serverNow } from '../time/server-clock';
import { DAY } from '../time/zone';
import { type Disk, diskWord, overwriteAt } from './storage-words';

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

function forecast(r: Ring): string {
  const at = overwriteAt(r, serverNow());
  if (at === null) return t('storage.forecastUnknown');
  return at === 'now' ? t('storage.forecastNow') : t('storage.forecastAt', { time: zone.value.full(at) });
}

function DiskFacts({ disk: d, ring }: { disk: Disk; ring: Ring }) {
  const word = diskWord(d, ring);
  const facts = [d.model || d.device, d.kind === 'unknown' ? '' : t(`disk.${d.kind}`), d.temperature === null ? '' : `${number(d.temperature)} °C`].filter(Boolean).join(' · ');
  return (
    <>
      <dt>{t('disk.title')}</dt>
      <dd><span class={`badge ${word === 'disk.good' ? 'ok' : word === 'disk.unknown' ? 'plain' : 'bad'}`}>{word === 'disk.good' && <i class="dot" />}{t(word)}</span>{facts && ` ${facts}`}
        <div class="dim">{t('disk.room', { free: bytes(d.free_bytes), total: bytes(d.total_bytes) })}{d.errors ? ` · ${t('disk.fsErrors', { n: number(d.errors) })}` : ''}</div>
        {word !== 'disk.good' && word !== 'disk.unknown' && <p class="form-error" style="margin:4px 0 0">{t(`${word}Do`)}</p>}</dd>
    </>
  );
}

function VaultPanel() {
  const { value } = useLoad('holds', () => people.holds(), () => 15_000);
  const v = value.value?.vault;
  if (!v || v.max_bytes === 0) return null;
  const share = Math.min(1, v.used_bytes / v.max_bytes);
  return (
    <section class="panel">
      <h2>{t('vault.title')}</h2>
      <div class={`meter${share > 0.9 ? ' full' : ''}`} role="img" aria-label={t('vault.share', { percent: number(share * 100) })}><i style={{ width: `${share * 100}%` }} /></div>
      <p class="dim" style="margin-top:6px">{t('vault.used', { used: bytes(v.used_bytes), max: bytes(v.max_bytes) })}</p>
      {share > 0.9 && <p class="form-error">{t('vault.nearlyFull')}</p>}
      <a class="btn tall" href="#/incidents">{t('incidents.title')}</a>
    </section>
  );
}

function RingPanel({ ring: r, disk }: { ring: Ring; disk: Disk | undefined }) {
  const oldest = msOr(r.oldest);
  const kept = oldest === null ? 0 : serverNow() - oldest;
  const full = r.days ? Math.min(1, kept / (r.days * DAY)) : 0;
  const trouble = (r.lost_intervals ?? 0) + (r.corrupt_records ?? 0) + (r.dropped_chunks ?? 0);
  return (
    <section class="panel">
      <h2>{t('storage.ring', { name: r.name })} {r.state === 'ok' ? <span class="badge ok"><i class="dot" />{t('storage.ok')}</span> : <span class="badge bad">{t('tile.notRecording')}</span>}</h2>
      {r.why && <p class="form-error">{whyText(r.why)}{whyText(r.why) !== r.why && <><br /><small class="dim">{r.why}</small></>}</p>}
      {r.too_small && <p class="notice warn rounded">{t('storage.tooSmall', { days: duration((r.days ?? 0) * DAY) })}</p>}
      <div class="meter" role="img" aria-label={t('storage.filled', { percent: number(full * 100) })}><i style={{ width: `${full * 100}%` }} /></div>
      <p class="dim" style="margin-top:6px">{r.days ? t('storage.holds', { size: bytes(r.size), days: duration(r.days * DAY) }) : t('storage.holdsUnknown', { size: bytes(r.size) })}</p>
      <dl class="kv num">
        <dt>{t('storage.for')}</dt><dd>{purpose(r)}</dd>
        <dt>{t('storage.held')}</dt><dd>{r.days_held ? duration(r.days_held * DAY) : '–'}</dd>
        <dt>{t('storage.oldest')}</dt><dd>{oldest === null ? '–' : zone.value.full(oldest)}</dd>
        <dt>{t('storage.forecast')}</dt><dd>{forecast(r)}</dd>
        <dt>{t('storage.rate')}</dt><dd>{r.bytes_per_second ? `${bytes(r.bytes_per_second)}/s · ${bytes(r.bytes_per_second * 86400)} ${t('storage.perDay')}` : '–'}</dd>
        {r.path && <><dt>{t('storage.path')}</dt><dd>{r.path}</dd></>}
        <dt>{t('storage.trouble')}</dt><dd>{trouble === 0 ? t('storage.noTrouble') : t('storage.troubles', { lost: r.lost_intervals ?? 0, bad: r.corrupt_records ?? 0, dropped: r.dropped_chunks ?? 0 })}</dd>
        {disk && <DiskFacts disk={disk} ring={r} />}
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
      {s.rings.map((r) => <RingPanel key={r.name} ring={r} disk={s.disks?.find((d) => d.ring === r.name)} />)}
      {atLeast('head') && <VaultPanel />}
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
