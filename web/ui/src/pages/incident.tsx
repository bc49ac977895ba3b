/* incident.tsx - one incident: its facts, the video held for it, events, packages, who may see it. */
import { useSignal } from '@preact/signals';
import { ms } from '../api/client';
import { type Export, type Hold, type IncidentDetail, people } from '../api/people';
import { bytes, duration, t, zone } from '../i18n';
import { Loading, toast, toastError, Tool } from '../parts/basics';
import { Confirm } from '../parts/confirm';
import { Icon } from '../parts/icons';
import { JobBadge, JobProgress } from '../parts/job';
import { useLoad } from '../parts/use-load';
import { go, href } from '../router';
import { cameraById, cameraName } from '../state/cameras';
import { atLeast } from '../state/session';
import { heldCameras, type HoldSummary, isBusy, isCopy, nextStep, summariseHolds } from './case-state';
import { IncidentEvents } from './incident-events';
import { IncidentForm } from './incident-form';
import { IncidentSharing } from './incident-sharing';
import { Absent, camerasOf, HoldBadge } from './incidents';
import { PackageRow } from './package-list';
import { PackageForm } from './package-form';

interface Answer {
  incident: IncidentDetail;
  packages: Export[];
}

const ask = (id: number) => async (): Promise<Answer> => {
  const [incident, packages] = await Promise.all([people.incident(id), people.exports(id)]);
  return { incident, packages: packages.items };
};

/** Three steps that every case goes through, and which is next. */
function Steps({ summary, packages }: { summary: HoldSummary; packages: Export[] }) {
  const next = nextStep(summary, packages);
  const made = packages.some((p) => p.state === 'done');
  const steps = [
    { text: t('step.hold'), done: summary === 'done' || made, now: next === 'hold' || summary === 'running' || summary === 'waiting' },
    { text: t('step.package'), done: made, now: next === 'package' || packages.some(isBusy) },
    { text: t('step.handOver'), done: false, now: next === 'hand-over' },
  ];
  return (
    <ol class="steps">
      {steps.map((s, n) => (
        <li key={s.text} class={s.done ? 'done' : s.now ? 'now' : ''} aria-current={s.now ? 'step' : undefined}>
          <span class="n" aria-hidden="true">{s.done ? <Icon name="check" size={16} /> : n + 1}</span><span>{s.text}</span>
          {s.done && <span class="sr">{t('step.done')}</span>}
        </li>
      ))}
    </ol>
  );
}

function HoldRow({ hold, onChanged }: { hold: Hold; onChanged: () => void }) {
  const asking = useSignal(false);
  const busy = isBusy(hold);
  return (
    <li>
      <div class="row hold-row">
        <div class="grow"><strong>{cameraName(hold.camera)}</strong>
          <div class="dim num">{zone.value.clock(ms(hold.from))}–{zone.value.clock(ms(hold.to))}{hold.state === 'done' && hold.total_bytes > 0 ? ` · ${bytes(hold.total_bytes)}` : ''}</div></div>
        <JobBadge state={hold.state} what="hold" />
        <Tool icon={busy ? 'close' : 'trash'} quiet label={`${busy ? t('hold.cancel') : t('hold.release')}: ${cameraName(hold.camera)}`} onClick={() => { asking.value = true; }} />
      </div>
      <JobProgress job={hold} label={cameraName(hold.camera)} />
      {asking.value && (
        <Confirm title={busy ? t('hold.cancelTitle') : t('hold.releaseTitle')} action={busy ? t('hold.cancel') : t('hold.release')}
          onYes={() => people.release(hold.id).then(onChanged)} onClose={() => { asking.value = false; }}>
          <p>{t('hold.releaseText', { camera: cameraName(hold.camera) })}</p>
        </Confirm>
      )}
    </li>
  );
}

function Video({ incident: i, summary, primary, onChanged }: { incident: IncidentDetail; summary: HoldSummary; primary: boolean; onChanged: () => void }) {
  const busy = useSignal(false);
  const holds = (i.holds ?? []).filter((h) => h.state !== 'cancelled');
  const missing = i.cameras.length - heldCameras(i, holds).length;
  const hold = async (): Promise<void> => {
    busy.value = true;
    try {
      await people.hold(i.id);
      toast(t('hold.begun'));
    } finally {
      busy.value = false;
      onChanged();
    }
  };
  const shown = i.cameras.filter((c) => cameraById.value.has(c)).slice(0, 4);
  return (
    <section class="panel">
      <div class="row head"><h2 class="grow">{t('hold.title')}</h2><HoldBadge summary={summary} holds={holds} /></div>
      <p class="dim">{t('hold.what')}</p>
      {holds.length > 0 && <ul class="plain-list">{holds.map((h) => <HoldRow key={h.id} hold={h} onChanged={onChanged} />)}</ul>}
      <div class="row">
        {missing > 0 && <button type="button" class={`btn tall${primary ? ' primary' : ''}`} disabled={busy.value} onClick={() => { hold().catch(toastError); }}>
          <Icon name="lock" />{holds.length > 0 ? t('hold.rest', { n: missing }) : t('hold.go', { n: missing })}</button>}
        {shown.length > 0 && <a class="btn tall" href={href(['timeline'], { cam: shown.join(','), t: i.from, span: Math.max(60, Math.round((ms(i.to) - ms(i.from)) / 500)), in: i.from, out: i.to })}>
          <Icon name="play" />{t('incident.play')}</a>}
      </div>
    </section>
  );
}

function Facts({ incident: i, onEdit }: { incident: IncidentDetail; onEdit: () => void }) {
  return (
    <section class="panel">
      <div class="row head"><h2 class="grow">{t('incident.facts')}</h2>
        {atLeast('head') && !i.closed && <Tool icon="edit" label={t('incident.edit')} text onClick={onEdit} />}</div>
      <dl class="kv num">
        <dt>{t('incident.from')}</dt><dd>{zone.value.full(ms(i.from))}</dd>
        <dt>{t('incident.to')}</dt><dd>{zone.value.full(ms(i.to))} <span class="dim">({duration(ms(i.to) - ms(i.from))})</span></dd>
        <dt>{t('incident.cameras')}</dt><dd>{camerasOf(i)}</dd>
        <dt>{t('incident.madeBy')}</dt><dd>{i.created_by}, {zone.value.full(ms(i.created))}</dd>
      </dl>
      {i.notes && <p class="notes">{i.notes}</p>}
    </section>
  );
}

function Packages({ list, incident, summary, primary, onChanged }: { list: Export[]; incident: IncidentDetail; summary: HoldSummary; primary: boolean; onChanged: () => void }) {
  const making = useSignal(false);
  return (
    <section class="panel">
      <h2>{t('packages.title')}</h2>
      <p class="dim">{atLeast('head') ? t('packages.what') : t('packages.whatPolice')}</p>
      {list.length > 0 && <div class="cases">{list.map((p) => <PackageRow key={p.id} item={p} />)}</div>}
      {atLeast('head') && !incident.closed && (
        <button type="button" class={`btn tall${primary ? ' primary' : ''}`} onClick={() => { making.value = true; }}><Icon name="package" />{t('package.make')}</button>
      )}
      {making.value && <PackageForm incident={incident} summary={summary} onClose={() => { making.value = false; }} onDone={(p) => { onChanged(); go(`#/packages/${p.id}`); }} />}
    </section>
  );
}

/** Copies for looking at: beside the evidence, and named so that nobody takes them for it. */
function Copies({ list, incident }: { list: Export[]; incident: IncidentDetail }) {
  const makes = atLeast('head') && !incident.closed;
  if (!makes && list.length === 0) return null;
  return (
    <section class="panel">
      <div class="row head"><h2 class="grow">{t('viewing.title')}</h2><span class="badge plain">{t('viewing.not')}</span></div>
      <p class="dim">{t('viewing.what')}</p>
      {list.length > 0 ? <div class="cases">{list.map((p) => <PackageRow key={p.id} item={p} />)}</div> : <p class="dim">{t('viewing.none')}</p>}
      {makes && <a class="btn tall" href={`#/incidents/${incident.id}/copy`}><Icon name="eye" />{t('viewing.make')}</a>}
    </section>
  );
}

function Ending({ incident: i, onChanged }: { incident: IncidentDetail; onChanged: () => void }) {
  const asking = useSignal(false);
  const close = (): void => { people.changeIncident(i.id, { closed: !i.closed }).then(onChanged, toastError); };
  return (
    <section class="panel">
      <h2>{t('incident.end')}</h2>
      <p class="dim">{i.closed ? t('incident.reopenHint') : t('incident.closeHint')}</p>
      <div class="row">
        <button type="button" class="btn tall" onClick={close}>{i.closed ? t('incident.reopen') : t('incident.close')}</button>
        <button type="button" class="btn danger tall" onClick={() => { asking.value = true; }}><Icon name="trash" />{t('action.delete')}</button>
      </div>
      {asking.value && (
        <Confirm title={t('incident.deleteTitle', { title: i.title })} action={t('action.delete')} onClose={() => { asking.value = false; }}
          onYes={() => people.deleteIncident(i.id).then(() => go('#/incidents'))}><p>{t('incident.deleteText')}</p></Confirm>
      )}
    </section>
  );
}

const active = (a: Answer | null): number =>
  a && [...(a.incident.holds ?? []), ...a.packages].some(isBusy) ? 1000 : 20_000;

export function IncidentDetailPage({ id }: { id: number }) {
  const { value, error, reload } = useLoad(String(id), ask(id), active);
  const editing = useSignal(false);
  const answer = value.value;
  if (!answer) return error.value ? <Absent here="incidents" error={error.value} retry={reload} /> : <Loading />;
  const { incident: i } = answer;
  const packages = answer.packages.filter((p) => !isCopy(p));
  if (editing.value) return <IncidentForm incident={i} onCancel={() => { editing.value = false; }} onDone={() => { editing.value = false; reload(); }} />;
  const head = atLeast('head');
  const summary = summariseHolds(i, i.holds ?? []);
  const next = nextStep(summary, packages);
  return (
    <>
      <div class="bar"><a class="btn quiet icon-only" href="#/incidents" aria-label={t('action.back')} title={t('action.back')}><Icon name="back" /></a>
        <h1 class="grow wrap">{i.title}</h1>{i.closed && <span class="badge plain">{t('incident.closed')}</span>}</div>
      <div class="content">
        {head && !i.closed && <Steps summary={summary} packages={packages} />}
        <div class="split wide">
          <div>
            {head && <Video incident={i} summary={summary} primary={next === 'hold'} onChanged={reload} />}
            {!head && <Facts incident={i} onEdit={() => undefined} />}
            <Packages list={packages} incident={i} summary={summary} primary={next === 'package'} onChanged={reload} />
            <Copies list={answer.packages.filter(isCopy)} incident={i} />
            {head && <IncidentEvents incident={i} onChanged={(changed) => { value.value = { ...answer, incident: { ...i, events: changed.events } }; }} />}
          </div>
          {head && <div>
            <Facts incident={i} onEdit={() => { editing.value = true; }} />
            <IncidentSharing incident={i} onChanged={reload} />
            <Ending incident={i} onChanged={reload} />
          </div>}
        </div>
      </div>
    </>
  );
}
