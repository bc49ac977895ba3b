/* package-form.tsx - asking for an evidence package: who wants it, by which letter, and why. */
import { useSignal } from '@preact/signals';
import { type Export, type ExportWish, type IncidentDetail, people } from '../api/people';
import { t } from '../i18n';
import { Dialog, errorText, Field } from '../parts/basics';
import { type HoldSummary } from './case-state';

const FIELDS = ['officer', 'officer_id', 'agency', 'letter', 'letter_date', 'report'] as const;
const REQUIRED = new Set<string>(['officer', 'agency']);

interface FormProps {
  incident: IncidentDetail;
  summary: HoldSummary;
  onDone: (p: Export) => void;
  onClose: () => void;
}

export function PackageForm({ incident, summary, onDone, onClose }: FormProps) {
  const error = useSignal('');
  const busy = useSignal(false);
  const unheld = summary === 'none' || summary === 'failed';
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const wish: ExportWish = { incident: incident.id };
    for (const name of [...FIELDS, 'purpose'] as const) {
      const text = String(f.get(name) ?? '').trim();
      if (text) wish[name] = text;
    }
    busy.value = true;
    error.value = '';
    try {
      if (unheld) await people.hold(incident.id); // the package waits for it
      onDone(await people.addExport(wish));
    } catch (failure) {
      error.value = errorText(failure);
      busy.value = false;
    }
  };
  return (
    <Dialog title={t('package.make')} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <p class="dim">{t('package.formHint')}</p>
        {FIELDS.map((name) => (
          <Field key={name} label={t(`package.${name}`)}>
            {(id) => (name === 'letter_date' ? <input id={id} name={name} type="date" />
              : <input id={id} name={name} type="text" maxLength={200} required={REQUIRED.has(name)} autocomplete="off" />)}
          </Field>
        ))}
        <Field label={t('package.purpose')} hint={t('package.purposeHint')}>{(id) => <textarea id={id} name="purpose" rows={2} maxLength={300} required />}</Field>
        {unheld && <p class="notice warn rounded">{t('package.holdsFirst')}</p>}
        {summary === 'partial' && <p class="notice warn rounded">{t('package.partly')}</p>}
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <div class="row end">
          <button type="button" class="btn tall" onClick={onClose}>{t('action.cancel')}</button>
          <button class="btn primary tall" disabled={busy.value}>{busy.value ? t('package.asking') : t('package.make')}</button>
        </div>
      </form>
    </Dialog>
  );
}
