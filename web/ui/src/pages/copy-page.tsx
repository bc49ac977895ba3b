/* copy-page.tsx - asking for copies for looking at: of which cameras, and what of their pictures is covered. */
import { useSignal } from '@preact/signals';
import { ms } from '../api/client';
import { type ExportWish, type IncidentDetail, people } from '../api/people';
import { t } from '../i18n';
import { Empty, errorText, Failed, Loading } from '../parts/basics';
import { Icon } from '../parts/icons';
import { useLoad } from '../parts/use-load';
import { go } from '../router';
import { cameraName, cameras } from '../state/cameras';
import { atLeast } from '../state/session';
import { summariseHolds } from './case-state';
import { CopyBoard } from './copy-board';
import { asRequest, type Mask, MAX_MASKS } from './copy-masks';

function CopyForm({ incident: i }: { incident: IncidentDetail }) {
  const chosen = useSignal<string[]>(i.cameras);
  const masks = useSignal<Record<string, Mask[]>>({});
  const error = useSignal('');
  const busy = useSignal(false);
  const summary = summariseHolds(i, i.holds ?? []);
  const unheld = summary === 'none' || summary === 'failed';
  const wanted = asRequest(masks.value, chosen.value);
  const toggle = (id: string): void => {
    chosen.value = i.cameras.filter((c) => (c === id ? !chosen.value.includes(id) : chosen.value.includes(c)));
    error.value = '';
  };
  const make = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    if (chosen.value.length === 0) { error.value = t('incident.noCamera'); return; }
    const wish: ExportWish = { incident: i.id, kind: 'copy', cameras: chosen.value, ...(wanted.length ? { masks: wanted } : {}) };
    busy.value = true;
    error.value = '';
    try {
      if (unheld) await people.hold(i.id); // the copy waits for it
      go(`#/packages/${(await people.addExport(wish)).id}`);
    } catch (failure) {
      error.value = errorText(failure);
      busy.value = false;
    }
  };
  return (
    <form class="content" onSubmit={(e) => void make(e)}>
      <div class="narrow">
        <p class="notice warn rounded"><Icon name="warning" size={18} /> {t('viewing.notText')}</p>
        <p class="dim">{t('viewing.hint')}</p>
        {i.cameras.map((c) => (
          <section key={c} class="panel" aria-label={cameraName(c)}>
            <label class="check"><input type="checkbox" checked={chosen.value.includes(c)} onChange={() => toggle(c)} /><strong>{cameraName(c)}</strong></label>
            {chosen.value.includes(c) && <CopyBoard camera={c} from={ms(i.from)} to={ms(i.to)} masks={masks.value[c] ?? []} full={wanted.length >= MAX_MASKS} onChange={(m) => { masks.value = { ...masks.value, [c]: m }; }} />}
          </section>
        ))}
        {unheld && <p class="notice warn rounded">{t('viewing.holdsFirst')}</p>}
        {summary === 'partial' && <p class="notice warn rounded">{t('viewing.partly')}</p>}
        <p class="dim sentence">{wanted.length > 0 ? t('viewing.masked', { n: wanted.length }) : t('viewing.unmasked')}. {t('viewing.slow')}</p>
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <div class="row">
          <button class="btn primary tall" disabled={busy.value}><Icon name="eye" />{busy.value ? t('package.asking') : t('viewing.make')}</button>
          <a class="btn tall" href={`#/incidents/${i.id}`}>{t('action.cancel')}</a>
        </div>
      </div>
    </form>
  );
}

export function CopyPage({ id }: { id: number }) {
  const { value, error, reload } = useLoad(`copy ${id}`, () => people.incident(id));
  const i = value.value;
  if (!atLeast('head')) return <Empty icon="lock" title={t('error.forbidden')} />;
  if (!i || cameras.value === null) return error.value ? <Failed error={error.value} retry={reload} /> : <Loading />;
  return (
    <>
      <div class="bar"><a class="btn quiet icon-only" href={`#/incidents/${id}`} aria-label={t('action.back')} title={t('action.back')}><Icon name="back" /></a>
        <h1 class="grow wrap">{t('viewing.title')}: {i.title}</h1></div>
      {i.closed ? <Empty icon="lock" title={t('viewing.closed')} /> : <CopyForm incident={i} />}
    </>
  );
}
