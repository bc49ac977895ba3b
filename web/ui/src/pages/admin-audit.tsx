/* admin-audit.tsx - who did what, in plain words: for the head; with filters, to take away, checked. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, iso, ms } from '../api/client';
import { type AuditCheck, type AuditFilter, type AuditRow, people } from '../api/people';
import { number, t, zone } from '../i18n';
import { Empty, errorText, Failed, Field, Loading, toastError } from '../parts/basics';
import { Icon } from '../parts/icons';
import { useLoad } from '../parts/use-load';
import { cameraName } from '../state/cameras';
import { DAY } from '../time/zone';
import { ACTIONS, auditSentence, shortHash } from './audit-words';

const PAGE = 100;

interface Choice {
  who: string;
  action: string;
  /** Dates as the fields give them, empty: open. */
  first: string;
  last: string;
}

/** The start of the day that a date field names, at the site. */
function dayStart(text: string): number | null {
  const m = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  return m ? zone.value.fromCivil({ year: Number(m[1]), month: Number(m[2]), day: Number(m[3]), hour: 0, minute: 0, second: 0 }) : null;
}

function filterOf(c: Choice): AuditFilter {
  const from = dayStart(c.first);
  const to = dayStart(c.last);
  return { who: c.who, action: c.action, ...(from === null ? {} : { from: iso(from) }), ...(to === null ? {} : { to: iso(zone.value.startOfDay(to + DAY + DAY / 8)) }) };
}

function Row({ row }: { row: AuditRow }) {
  const open = useSignal(false);
  return (
    <li class="audit-row">
      <button type="button" aria-expanded={open.value} onClick={() => { open.value = !open.value; }}>
        <span class="num dim when">{zone.value.clock(ms(row.time))}</span>
        <span class="what"><strong>{row.who ?? t('audit.nobody')}</strong> {auditSentence(row, cameraName)}</span>
      </button>
      {open.value && <dl class="kv num more">
        <dt>{t('audit.time')}</dt><dd>{zone.value.full(ms(row.time))}</dd>
        <dt>{t('audit.address')}</dt><dd>{row.address || '–'}</dd>
        <dt>{t('audit.action')}</dt><dd>{row.action}{row.object && ` · ${row.object}`}</dd>
        {row.detail && <><dt>{t('audit.detail')}</dt><dd>{Object.entries(row.detail).map(([k, v]) => `${k}: ${typeof v === 'object' ? JSON.stringify(v) : String(v)}`).join(', ')}</dd></>}
        <dt>{t('audit.row')}</dt><dd>{number(row.id)} · {shortHash(row.hash)}</dd>
      </dl>}
    </li>
  );
}

function byDay(rows: AuditRow[]): { day: number; rows: AuditRow[] }[] {
  const out: { day: number; rows: AuditRow[] }[] = [];
  for (const row of rows) {
    const day = zone.value.startOfDay(ms(row.time));
    if (out[out.length - 1]?.day !== day) out.push({ day, rows: [] });
    out[out.length - 1]!.rows.push(row);
  }
  return out;
}

function Check() {
  const result = useSignal<AuditCheck | null>(null);
  const busy = useSignal(false);
  const error = useSignal('');
  const check = async (): Promise<void> => {
    busy.value = true;
    error.value = '';
    try {
      result.value = await people.verifyAudit();
    } catch (failure) {
      error.value = errorText(failure);
    } finally {
      busy.value = false;
    }
  };
  const r = result.value;
  return (
    <>
      <button type="button" class="btn tall" disabled={busy.value} onClick={() => void check()}><Icon name="shield" />{busy.value ? t('audit.checking') : t('audit.check')}</button>
      <div role="status" class="grow-line">
        {error.value && <p class="form-error">{error.value}</p>}
        {r && (r.ok ? <p class="notice good rounded"><Icon name="check" /><span>{t('audit.whole', { n: number(r.rows), head: shortHash(r.head) })}</span></p>
          : <p class="notice rounded"><Icon name="warning" /><span>{t('audit.broken', { id: r.first_bad ?? 0 })}</span></p>)}
      </div>
    </>
  );
}

function Filters({ choice, onChange }: { choice: Choice; onChange: (c: Choice) => void }) {
  const users = useLoad('users', () => api.users());
  const set = (change: Partial<Choice>) => (): void => onChange({ ...choice, ...change });
  const value = (e: Event): string => (e.currentTarget as HTMLInputElement).value;
  return (
    <div class="audit-filter">
      <Field label={t('audit.who')}>{(id) => <select id={id} value={choice.who} onChange={(e) => set({ who: value(e) })()}>
        <option value="">{t('audit.everybody')}</option>
        {(users.value.value?.items ?? []).map((u) => <option key={u.username} value={u.username}>{u.username}</option>)}
      </select>}</Field>
      <Field label={t('audit.did')}>{(id) => <select id={id} value={choice.action} onChange={(e) => set({ action: value(e) })()}>
        <option value="">{t('audit.everything')}</option>
        {ACTIONS.map((g) => <optgroup key={g.group} label={t(g.group)}>{g.actions.map((a) => <option key={a} value={a}>{t(`did.${a}`)}</option>)}</optgroup>)}
      </select>}</Field>
      <Field label={t('audit.first')}>{(id) => <input id={id} type="date" value={choice.first} max={choice.last || undefined} onChange={(e) => set({ first: value(e) })()} />}</Field>
      <Field label={t('audit.last')}>{(id) => <input id={id} type="date" value={choice.last} min={choice.first || undefined} onChange={(e) => set({ last: value(e) })()} />}</Field>
    </div>
  );
}

export function AuditPanel() {
  const choice = useSignal<Choice>({ who: '', action: '', first: '', last: '' });
  const older = useSignal<AuditRow[]>([]);
  const next = useSignal<string | null>(null);
  const filter = filterOf(choice.value);
  const key = JSON.stringify(filter);
  const { value, error, reload } = useLoad(key, () => people.audit({ ...filter, limit: PAGE }));
  useEffect(() => { older.value = []; }, [key, value.value]);
  useEffect(() => { next.value = value.value?.next ?? null; }, [value.value]);
  const more = async (): Promise<void> => {
    const answer = await people.audit({ ...filter, limit: PAGE, cursor: next.value ?? '' });
    older.value = [...older.value, ...answer.items];
    next.value = answer.next;
  };
  const rows = value.value ? [...value.value.items, ...older.value] : null;
  return (
    <div class="narrow">
      <p class="dim">{t('audit.intro')}</p>
      <Filters choice={choice.value} onChange={(c) => { choice.value = c; }} />
      <div class="row" style="margin-bottom:12px">
        <a class="btn tall" href={people.auditUrl(filter)} download="kentongan-audit.csv"><Icon name="download" />{t('audit.export')}</a>
        <button type="button" class="btn tall" onClick={reload}>{t('audit.fresh')}</button>
        <Check />
      </div>
      {!rows ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
        : rows.length === 0 ? <Empty icon="shield" title={t('audit.none')}><p>{t('events.noneFilteredHint')}</p></Empty>
          : byDay(rows).map((d) => (
            <section key={d.day}>
              <h2 class="day-head">{zone.value.longDate(d.day)}</h2>
              <ul class="plain-list panel flat">{d.rows.map((r) => <Row key={r.id} row={r} />)}</ul>
            </section>
          ))}
      {next.value && <button type="button" class="btn tall" onClick={() => { more().catch(toastError); }}>{t('events.more')}</button>}
    </div>
  );
}
