/* time-field.tsx - a moment, typed as people say it, at the site's clock. */
import { useSignal } from '@preact/signals';
import { t, zone } from '../i18n';
import { serverNow } from '../time/server-clock';
import { parseTyped } from '../time/zone';
import { Field } from './basics';

interface TimeFieldProps {
  label: string;
  value: number;
  onChange: (ms: number) => void;
  /** Buttons that move it by this many seconds, both ways. */
  step?: number;
  disabled?: boolean;
}

export function TimeField({ label, value, onChange, step, disabled }: TimeFieldProps) {
  const bad = useSignal(false);
  const text = `${zone.value.dateField(value)} ${zone.value.timeField(value)}`;
  const change = (e: Event): void => {
    const v = parseTyped((e.currentTarget as HTMLInputElement).value, zone.value, serverNow(), value);
    bad.value = v === null;
    if (v !== null) onChange(v);
  };
  const nudge = (by: number) => (
    <button type="button" class="btn" disabled={disabled} aria-label={`${label} ${by > 0 ? '+' : '−'}${Math.abs(by)} ${t('unit.s')}`} onClick={() => onChange(value + by * 1000)}>
      {by > 0 ? '+' : '−'}{Math.abs(by)}
    </button>
  );
  return (
    <Field label={`${label} (${zone.value.label})`} hint={bad.value ? t('jump.bad') : undefined}>
      {(id) => (
        <div class="row time-field">
          <input id={id} class="num" type="text" key={text} defaultValue={text} aria-invalid={bad.value} disabled={disabled} onChange={change} />
          {step !== undefined && <>{nudge(-step)}{nudge(step)}</>}
        </div>
      )}
    </Field>
  );
}
