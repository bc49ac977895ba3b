/* jump.tsx - go to a moment: type it, or pick a day from a calendar that shows where there was activity. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { t, zone } from '../i18n';
import { Dialog, Field, Tool } from '../parts/basics';
import { serverNow } from '../time/server-clock';
import { parseTyped } from '../time/zone';
import { activeDays, type DayActivity, monthOf, shiftMonth } from './calendar';

interface JumpProps {
  at: number;
  cameras: string[];
  onGo: (t: number) => void;
  onClose: () => void;
}

export function JumpDialog({ at, cameras, onGo, onClose }: JumpProps) {
  const text = useSignal('');
  const bad = useSignal(false);
  const submit = (e: Event): void => {
    e.preventDefault();
    const to = parseTyped(text.value, zone.value, serverNow(), at);
    if (to === null) bad.value = true;
    else onGo(to);
  };
  return (
    <Dialog title={t('jump.title')} onClose={onClose}>
      <form onSubmit={submit}>
        <Field label={t('jump.type', { zone: zone.value.label })} hint={t('jump.hint')}>
          {(id) => (
            <div class="row">
              <input id={id} class="grow" type="text" autofocus enterkeyhint="go" placeholder="14:30" value={text.value}
                aria-invalid={bad.value} style="width:auto"
                onInput={(e) => { text.value = (e.currentTarget as HTMLInputElement).value; bad.value = false; }} />
              <button class="btn primary">{t('jump.go')}</button>
            </div>
          )}
        </Field>
        <div role="alert">{bad.value && <p class="form-error">{t('jump.bad')}</p>}</div>
      </form>
      <Calendar at={at} cameras={cameras} onPick={onGo} />
    </Dialog>
  );
}

function Calendar({ at, cameras, onPick }: { at: number; cameras: string[]; onPick: (t: number) => void }) {
  const month = useSignal(monthOf(at, zone.value));
  const days = useSignal<DayActivity[]>([]);
  const m = month.value;
  useEffect(() => {
    let live = true;
    activeDays(m, cameras).then((d) => { if (live) days.value = d; }, () => undefined);
    return () => { live = false; };
  }, [m.days[0], cameras.join()]);
  const today = zone.value.startOfDay(serverNow());
  const chosen = zone.value.startOfDay(at);
  const clock = at - chosen;
  return (
    <div>
      <div class="row">
        <Tool icon="back" quiet label={t('jump.prevMonth')} onClick={() => { month.value = shiftMonth(m, -1, zone.value); }} />
        <strong class="grow" style="text-align:center" aria-live="polite">{zone.value.month(m.days[14]!)}</strong>
        <Tool icon="forward" quiet label={t('jump.nextMonth')} onClick={() => { month.value = shiftMonth(m, 1, zone.value); }} />
      </div>
      <div class="cal">
        {m.weekdays.map((w) => <span key={w} class="dow">{zone.value.shortDate(w).slice(0, 3)}</span>)}
        {Array.from({ length: m.lead }, (_, i) => <span key={`x${i}`} />)}
        {m.days.map((d, i) => {
          const a = days.value[i];
          return (
            <button key={d} type="button" class={`day num${d === today ? ' today' : ''}`} disabled={d > today || (a && !a.recorded)}
              aria-pressed={d === chosen} aria-label={`${zone.value.longDate(d)}${a?.activity ? `, ${t('jump.activity')}` : ''}`}
              onClick={() => onPick(Math.min(serverNow() - 5000, d + clock))}>
              {i + 1}
              {a && a.activity > 0 && <i style={{ opacity: 0.3 + 0.7 * a.activity }} />}
            </button>
          );
        })}
      </div>
    </div>
  );
}
