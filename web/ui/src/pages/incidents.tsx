/* incidents.tsx - what happened, in people's words: the list, a new one, one of them. */
import { useComputed } from '@preact/signals';
import { type Hold, type Incident, people, type Vault } from '../api/people';
import { ApiError, ms } from '../api/client';
import { bytes, duration, number, t, tCode, zone } from '../i18n';
import { Empty, Failed, Loading } from '../parts/basics';
import { Icon } from '../parts/icons';
import { useLoad } from '../parts/use-load';
import { route } from '../router';
import { cameraName } from '../state/cameras';
import { atLeast, watches } from '../state/session';
import { type HoldSummary, isBusy, progressOf, summariseHolds } from './case-state';
import { CopyPage } from './copy-page';
import { IncidentForm } from './incident-form';
import { IncidentDetailPage } from './incident';

const LOOKS: Record<HoldSummary, string> = { none: 'warn', partial: 'warn', waiting: 'plain', running: 'plain', done: 'ok', failed: 'bad' };

export function HoldBadge({ summary, holds }: { summary: HoldSummary; holds?: Hold[] }) {
  const share = summary === 'running' && holds ? progressOf(holds) : null;
  return <span class={`badge num ${LOOKS[summary]}`}>{summary === 'done' && <i class="dot" />}{tCode('held', summary)}{share !== null && ` ${number(share * 100)} %`}</span>;
}

/** Its cameras by name; the police get the names with it. */
export const camerasOf = (i: Incident): string => i.cameras.map((id) => i.names?.[id] ?? cameraName(id)).join(', ');

export function CaseTabs({ here }: { here: 'incidents' | 'packages' }) {
  return (
    <nav class="tabs" aria-label={t('incidents.title')}>
      <a href="#/incidents" aria-current={here === 'incidents' ? 'page' : undefined}>{t('incidents.title')}</a>
      <a href="#/packages" aria-current={here === 'packages' ? 'page' : undefined}>{t('packages.title')}</a>
    </nav>
  );
}

/** Why an incident or a package is not on show; the police cannot know whether it is not there or not theirs to see. */
export function Absent({ here, error, retry }: { here: 'incidents' | 'packages'; error: unknown; retry: () => void }) {
  const theirs = !watches() && error instanceof ApiError && error.status === 404;
  return (
    <>
      <div class="bar"><h1 class="grow">{t(`${here}.title`)}</h1></div>
      <div class="content">
        <CaseTabs here={here} />
        {theirs ? <Empty icon="lock" title={t('error.not-shared')}><p>{t('error.not-sharedHint')}</p></Empty> : <Failed error={error} retry={retry} />}
      </div>
    </>
  );
}

function VaultLine({ vault: v }: { vault: Vault }) {
  if (v.max_bytes === 0) return <p class="notice warn rounded"><Icon name="warning" /><span>{t('vault.none')}</span></p>;
  const share = Math.min(1, v.used_bytes / v.max_bytes);
  return (
    <div class="vault-line">
      <div class="row"><Icon name="lock" size={18} /><span class="grow">{t('vault.used', { used: bytes(v.used_bytes), max: bytes(v.max_bytes) })}</span>
        <span class="dim num">{number(share * 100)} %</span></div>
      <div class={`meter${share > 0.9 ? ' full' : ''}`} role="img" aria-label={t('vault.share', { percent: number(share * 100) })}><i style={{ width: `${share * 100}%` }} /></div>
      {share > 0.9 && <p class="form-error" style="margin:6px 0 0">{t('vault.nearlyFull')}</p>}
    </div>
  );
}

function Row({ incident: i, holds }: { incident: Incident; holds: Hold[] | null }) {
  const mine = holds?.filter((h) => h.incident === i.id) ?? [];
  return (
    <a class="case" href={`#/incidents/${i.id}`}>
      <span class="case-head"><strong>{i.title}</strong>
        {i.closed ? <span class="badge plain">{t('incident.closed')}</span> : holds && <HoldBadge summary={summariseHolds(i, mine)} holds={mine} />}</span>
      <span class="num">{zone.value.full(ms(i.from))} · {duration(ms(i.to) - ms(i.from))}</span>
      <span class="dim ellipsis">{camerasOf(i)}</span>
    </a>
  );
}

interface ListAnswer {
  incidents: Incident[];
  holds: Hold[] | null;
  vault: Vault | null;
}

async function ask(): Promise<ListAnswer> {
  const [incidents, held] = await Promise.all([people.incidents(), atLeast('head') ? people.holds() : null]);
  return { incidents: incidents.items, holds: held?.items ?? null, vault: held?.vault ?? null };
}

function IncidentList() {
  const { value, error, reload } = useLoad('incidents', ask, (v) => (v?.holds?.some(isBusy) ? 2000 : 30_000));
  const sorted = useComputed(() => [...(value.value?.incidents ?? [])].sort((a, b) => Number(a.closed) - Number(b.closed) || ms(b.from) - ms(a.from)));
  const answer = value.value;
  return (
    <>
      <div class="bar"><h1 class="grow">{t('incidents.title')}</h1>
        {atLeast('head') && <a class="btn primary" href="#/incidents/new"><Icon name="plus" />{t('incidents.new')}</a>}</div>
      <div class="content">
        <CaseTabs here="incidents" />
        {!answer ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />) : (
          <div class="narrow">
            {answer.vault && <VaultLine vault={answer.vault} />}
            {sorted.value.length === 0
              ? <Empty icon="folder" title={t(watches() ? 'incidents.none' : 'incidents.noneShared')}><p>{t(watches() ? 'incidents.noneHint' : 'incidents.noneSharedHint')}</p></Empty>
              : <div class="cases">{sorted.value.map((i) => <Row key={i.id} incident={i} holds={answer.holds} />)}</div>}
          </div>
        )}
      </div>
    </>
  );
}

export function IncidentsPage() {
  const id = route.value.path[0] === 'incidents' ? route.value.path[1] : undefined;
  if (id === 'new') return <IncidentForm incident={null} onDone={(i) => { location.hash = `#/incidents/${i.id}`; }} />;
  if (id !== undefined && route.value.path[2] === 'copy') return <CopyPage id={Number(id)} />;
  return id === undefined ? <IncidentList /> : <IncidentDetailPage id={Number(id)} />;
}
