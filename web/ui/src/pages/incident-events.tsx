/* incident-events.tsx - which events belong to an incident: those of its span and cameras, to be marked. */
import { useSignal } from '@preact/signals';
import { api, type EventItem, ms, serverUrl } from '../api/client';
import { type IncidentDetail, people } from '../api/people';
import { t, tCode, zone } from '../i18n';
import { Failed, Loading, toastError } from '../parts/basics';
import { Icon } from '../parts/icons';
import { useLoad } from '../parts/use-load';
import { cameraName } from '../state/cameras';

const AT_ONCE = 200;
const FIRST = 8;

function Card({ event: e, marked, onToggle }: { event: EventItem; marked: boolean; onToggle: () => void }) {
  return (
    <button type="button" class="mark-card" aria-pressed={marked} onClick={onToggle}>
      <span class="pic">{e.thumbnail ? <img src={serverUrl(e.thumbnail)} alt="" loading="lazy" /> : <Icon name="photo" />}
        {marked && <i class="tick"><Icon name="check" size={18} /></i>}</span>
      <span class="text"><strong>{tCode('event', e.type)}</strong><span class="dim num">{zone.value.clock(ms(e.start))}</span>
        <span class="dim ellipsis">{cameraName(e.camera)}</span></span>
    </button>
  );
}

export function IncidentEvents({ incident: i, onChanged }: { incident: IncidentDetail; onChanged: (i: IncidentDetail) => void }) {
  const { value, error, reload } = useLoad(`${i.id} ${i.from} ${i.to} ${i.cameras.join()}`,
    () => api.events({ camera: i.cameras.join(','), from: i.from, to: i.to, limit: AT_ONCE }));
  const all = useSignal(false);
  const marked = new Set(i.events);
  const list = value.value?.items ?? [];
  const ordered = [...list.filter((e) => marked.has(e.id)), ...list.filter((e) => !marked.has(e.id))];
  const shown = all.value ? ordered : ordered.slice(0, FIRST);
  const toggle = (e: EventItem): void => {
    people.markEvent(i.id, e.id, !marked.has(e.id)).then(onChanged, toastError);
  };
  return (
    <section class="panel">
      <div class="row head"><h2 class="grow">{t('incident.events')}</h2>{marked.size > 0 && <span class="badge plain">{t('incident.marked', { n: marked.size })}</span>}</div>
      {!value.value ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
        : list.length === 0 ? <p class="dim">{t('incident.noEvents')}</p>
          : <>
            <p class="dim">{t('incident.eventsHint')}</p>
            <div class="mark-cards">{shown.map((e) => <Card key={e.id} event={e} marked={marked.has(e.id)} onToggle={() => toggle(e)} />)}</div>
            {ordered.length > FIRST && <button type="button" class="btn quiet" onClick={() => { all.value = !all.value; }}>{all.value ? t('incident.fewer') : t('incident.allEvents', { n: ordered.length })}</button>}
          </>}
    </section>
  );
}
