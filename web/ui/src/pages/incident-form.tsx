/* incident-form.tsx - a new incident, or the facts of one changed: title, span, cameras, notes. */
import { useSignal } from '@preact/signals';
import { iso, ms, msOr } from '../api/client';
import { type IncidentDetail, people } from '../api/people';
import { duration, t } from '../i18n';
import { errorText, Field, Loading } from '../parts/basics';
import { Icon } from '../parts/icons';
import { TimeField } from '../parts/time-field';
import { route } from '../router';
import { cameras } from '../state/cameras';
import { serverNow } from '../time/server-clock';
import { DAY, MINUTE } from '../time/zone';

const LONGEST = 31 * DAY;

interface FormProps {
  /** Null: a new one. */
  incident: IncidentDetail | null;
  onDone: (i: IncidentDetail) => void;
  onCancel?: () => void;
}

export function IncidentForm({ incident: i, onDone, onCancel }: FormProps) {
  const q = route.value.query;
  const now = Math.floor(serverNow() / 1000) * 1000;
  const to = useSignal(i ? ms(i.to) : msOr(q.get('out')) ?? now);
  const from = useSignal(i ? ms(i.from) : msOr(q.get('in')) ?? to.peek() - 10 * MINUTE);
  const cams = useSignal<string[]>(i?.cameras ?? (q.get('cam') ?? '').split(',').filter(Boolean));
  const error = useSignal('');
  const busy = useSignal(false);
  const list = cameras.value;
  if (list === null) return <Loading />;
  const length = to.value - from.value;
  const wrong = length <= 0 ? t('clip.order') : length > LONGEST ? t('incident.tooLong') : '';
  const toggle = (id: string): void => { cams.value = cams.value.includes(id) ? cams.value.filter((x) => x !== id) : [...cams.value, id]; };
  const all = cams.value.length === list.length;
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    if (cams.value.length === 0) { error.value = t('incident.noCamera'); return; }
    if (wrong) return;
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const change = { title: String(f.get('title')).trim(), from: iso(from.value), to: iso(to.value), cameras: cams.value, notes: String(f.get('notes')) };
    busy.value = true;
    error.value = '';
    try {
      onDone(await (i ? people.changeIncident(i.id, change) : people.addIncident(change)));
    } catch (failure) {
      error.value = errorText(failure);
      busy.value = false;
    }
  };
  return (
    <>
      <div class="bar"><h1 class="grow">{i ? t('incident.edit') : t('incidents.new')}</h1></div>
      <div class="content">
        <form class="split" onSubmit={(e) => void submit(e)}>
          <div>
            <section class="panel">
              <Field label={t('incident.title')} hint={t('incident.titleHint')}>{(id) => <input id={id} name="title" type="text" maxLength={150} required defaultValue={i?.title ?? ''} />}</Field>
              <div class="pair">
                <TimeField label={t('incident.from')} value={from.value} onChange={(v) => { from.value = v; }} />
                <TimeField label={t('incident.to')} value={to.value} onChange={(v) => { to.value = v; }} />
              </div>
              {wrong ? <p class="form-error" role="alert">{wrong}</p> : <p class="dim num">{t('clip.length', { length: duration(length) })}</p>}
              <Field label={t('incident.notes')} hint={t('incident.notesHint')}>{(id) => <textarea id={id} name="notes" rows={5} maxLength={8000} defaultValue={i?.notes ?? q.get('note') ?? ''} />}</Field>
            </section>
          </div>
          <div>
            <fieldset class="panel" style="min-width:0">
              <legend class="sr">{t('incident.cameras')}</legend>
              <div class="row"><h2 class="grow" aria-hidden="true">{t('incident.cameras')}</h2>
                {list.length > 1 && <button type="button" class="btn quiet" onClick={() => { cams.value = all ? [] : list.map((c) => c.id); }}>{all ? t('incident.noneOf') : t('incident.allOf')}</button>}</div>
              <div class="check-list">
                {list.map((c) => (
                  <label key={c.id} class="check"><input type="checkbox" checked={cams.value.includes(c.id)} onChange={() => toggle(c.id)} /><span class="ellipsis">{c.name}</span></label>
                ))}
              </div>
            </fieldset>
            <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
            <div class="row">
              <button class="btn primary tall" disabled={busy.value}><Icon name="check" />{i ? t('action.save') : t('incident.make')}</button>
              {onCancel ? <button type="button" class="btn tall" onClick={onCancel}>{t('action.cancel')}</button> : <a class="btn tall" href="#/incidents">{t('action.cancel')}</a>}
            </div>
          </div>
        </form>
      </div>
    </>
  );
}
