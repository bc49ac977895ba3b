/* erase.tsx - a stretch of one camera is taken out for good: somebody had a right to that. What goes, what stays, why. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { iso, ms, msOr } from '../api/client';
import { type Hold, people } from '../api/people';
import { duration, number, t, zone } from '../i18n';
import { Empty, errorText, Failed, Field, Loading } from '../parts/basics';
import { Confirm } from '../parts/confirm';
import { Icon } from '../parts/icons';
import { TimeField } from '../parts/time-field';
import { useLoad } from '../parts/use-load';
import { href, replace, route } from '../router';
import { cameraById, cameraName, cameras } from '../state/cameras';
import { serverNow } from '../time/server-clock';
import { DAY, MINUTE } from '../time/zone';
import { Preview } from './clip';
import { type Erased, eraseSpan, partsOf } from './erase-run';

interface Span {
  camera: string;
  from: number;
  to: number;
}

function readSpan(): Span {
  const q = route.value.query;
  const list = cameras.value ?? [];
  const asked = (q.get('cam') ?? '').split(',')[0]!;
  const to = msOr(q.get('out')) ?? Math.floor(serverNow() / 1000) * 1000;
  return { camera: cameraById.value.has(asked) ? asked : list[0]?.id ?? '', from: msOr(q.get('in')) ?? to - MINUTE, to };
}

const sameSpan = (a: Span, b: Span): boolean => a.camera === b.camera && a.from === b.from && a.to === b.to;

const wrongWith = (s: Span): string => (s.to <= s.from ? t('clip.order') : s.to - s.from > DAY ? t('erase.tooLong')
  : s.to > serverNow() + 2000 ? t('erase.future') : '');

const spanText = (s: Span): Record<string, string> => ({
  camera: cameraName(s.camera), from: zone.value.full(s.from), to: zone.value.full(s.to), length: duration(s.to - s.from) });

const heldThen = (holds: Hold[], s: Span): Hold[] =>
  holds.filter((h) => h.camera === s.camera && h.state !== 'cancelled' && h.state !== 'failed' && ms(h.from) < s.to && ms(h.to) > s.from);

const isCopied = (h: Hold): boolean => h.state === 'waiting' || h.state === 'running';

function What({ span, held }: { span: Span; held: Hold[] }) {
  const incidents = [...new Set(held.map((h) => h.incident))];
  return (
    <>
      <h2>{t('erase.gone')}</h2>
      <ul>
        <li>{t('erase.goneVideo', spanText(span))}</li>
        <li>{t('erase.gonePictures')}</li>
      </ul>
      <h2>{t('erase.stays')}</h2>
      <ul>
        <li>{incidents.length > 0 ? <>{t('erase.held', { n: held.length })} {incidents.map((i) => <a key={i} class="inline" href={href(['incidents', String(i)])}>#{i}</a>)}</>
          : t('erase.notHeld')}</li>
        <li>{t('erase.staysFiles')}</li>
        <li>{t('erase.staysTrace')}</li>
      </ul>
    </>
  );
}

/* Where the focus goes when it is over: that is what somebody who cannot see waits for. */
function Result({ span, done }: { span: Span; done: Erased }) {
  const ref = useRef<HTMLElement>(null);
  useEffect(() => ref.current?.focus(), []);
  const nothing = done.records === 0 && done.error === null;
  const counts = { ...spanText({ ...span, to: done.until }), records: number(done.records), pictures: number(done.pictures) };
  return (
    <section ref={ref} class="panel" tabIndex={-1} aria-label={t('erase.result')}>
      <h2>{t('erase.result')}</h2>
      {done.error !== null && <p class="form-error">{t(done.until > span.from ? 'erase.stopped' : 'erase.failed', { time: zone.value.full(done.until), why: errorText(done.error) })}</p>}
      {nothing ? <p>{t('erase.nothing', counts)}</p> : done.until > span.from && <p>{t('erase.done', counts)}</p>}
      <div class="row" style="flex-wrap:wrap">
        <a class="btn" href={href(['timeline'], { cam: span.camera, t: iso(span.from + Math.min(1000, (span.to - span.from) / 2)), span: Math.max(60, Math.round((span.to - span.from) / 400)) })}>
          <Icon name="timeline" /><span>{t('erase.seeGap')}</span></a>
        <a class="btn" href="#/admin/audit"><Icon name="shield" /><span>{t('erase.seeAudit')}</span></a>
      </div>
    </section>
  );
}

function Progress({ part, parts }: { part: number; parts: number }) {
  return (
    <section class="panel" role="status">
      <p>{parts > 1 ? t('erase.part', { n: part, parts }) : t('erase.busy')}</p>
      <div class="meter" role="progressbar" aria-label={t('erase.title')} aria-valuemin={0} aria-valuemax={parts} aria-valuenow={part - 1}>
        <i style={{ width: `${((part - 0.5) / parts) * 100}%` }} />
      </div>
    </section>
  );
}

interface FormProps {
  span: Span;
  reason: Signal<string>;
  held: Hold[];
  onErase: () => void;
}

function Form({ span, reason, held, onErase }: FormProps) {
  const asking = useSignal(false);
  const set = (change: Partial<Span>): void => {
    const s = { ...span, ...change };
    replace(href(['erase'], { cam: s.camera, in: iso(s.from), out: iso(s.to) }));
  };
  const wrong = wrongWith(span);
  const copied = held.some(isCopied);
  const submit = (e: SubmitEvent): void => {
    e.preventDefault();
    if (!wrong && !copied && reason.value.trim()) asking.value = true;
  };
  return (
    <form class="panel" onSubmit={submit}>
      <Field label={t('events.camera')}>
        {(id) => <select id={id} value={span.camera} onChange={(e) => set({ camera: (e.currentTarget as HTMLSelectElement).value })}>
          {cameras.value!.map((c) => <option key={c.id} value={c.id}>{c.name}</option>)}
        </select>}
      </Field>
      <TimeField label={t('erase.from')} value={span.from} step={5} onChange={(from) => set({ from })} />
      <TimeField label={t('erase.to')} value={span.to} step={5} onChange={(to) => set({ to })} />
      {wrong ? <p class="form-error" role="alert">{wrong}</p> : <p class="dim num">{t('clip.length', { length: duration(span.to - span.from) })}</p>}
      <Field label={t('erase.reason')} hint={t('erase.reasonHint')}>
        {(id) => <textarea id={id} rows={3} maxLength={240} required value={reason.value} onInput={(e) => { reason.value = (e.currentTarget as HTMLTextAreaElement).value; }} />}
      </Field>
      {copied && <p class="form-error" role="alert">{t('error.being-held')}</p>}
      <button class="btn danger tall" disabled={wrong !== '' || copied || !reason.value.trim()}><Icon name="trash" />{t('erase.go')}</button>
      {asking.value && (
        <Confirm title={t('erase.askTitle', spanText(span))} action={t('erase.yes')} onClose={() => { asking.value = false; }}
          onYes={() => { onErase(); return Promise.resolve(); }}>
          <p><strong class="num">{t('erase.askSpan', spanText(span))}</strong></p>
          <p>{t('erase.askGone')}</p>
          <p>{held.length > 0 ? t('erase.askHeld') : t('erase.notHeld')}</p>
          <p class="dim">{t('erase.askReason', { reason: reason.value.trim() })}</p>
        </Confirm>
      )}
    </form>
  );
}

export function ErasePage() {
  const holds = useLoad('holds', people.holds, (a) => (a?.items.some(isCopied) ? 1000 : 15_000));
  const reason = useSignal('');
  const running = useSignal<Span | null>(null);
  const part = useSignal(1);
  const done = useSignal<{ span: Span; erased: Erased } | null>(null);
  const list = cameras.value;
  if (list !== null && list.length === 0) return <Empty icon="camera" title={t('wall.none')} />;
  if (holds.error.value && !holds.value.value) return <Failed error={holds.error.value} retry={holds.reload} />;
  if (list === null || !holds.value.value) return <Loading />;
  const span = readSpan();
  const held = heldThen(holds.value.value.items, span);
  const result = done.value && sameSpan(done.value.span, span) ? done.value : null; // another address is another question
  const erase = async (): Promise<void> => {
    const why = reason.value.trim();
    done.value = null;
    running.value = span;
    const erased = await eraseSpan(span.from, span.to, (from, to) => people.erase(span.camera, from, to, why), (n) => { part.value = n; });
    running.value = null;
    done.value = { span, erased };
    holds.reload();
  };
  return (
    <>
      <div class="bar"><h1 class="grow">{t('erase.title')}</h1>
        <a class="btn" href={href(['clip'], { cam: span.camera, in: iso(span.from), out: iso(span.to) })}><Icon name="clip" /><span>{t('nav.clip')}</span></a></div>
      <div class="content">
        <div class="split">
          <div>
            {running.value ? <Progress part={part.value} parts={partsOf(running.value.from, running.value.to)} />
              : result ? <Result span={result.span} done={result.erased} />
                : !wrongWith(span) && <><Preview camera={span.camera} from={span.from} to={span.to} /><section class="panel prose"><What span={span} held={held} /></section></>}
            {result && !running.value && <button type="button" class="btn" onClick={() => { done.value = null; reason.value = ''; }}>{t('erase.another')}</button>}
          </div>
          <div>{!running.value && !result && <Form span={span} reason={reason} held={held} onErase={() => void erase()} />}</div>
        </div>
      </div>
    </>
  );
}
