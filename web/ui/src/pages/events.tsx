/* events.tsx - what was seen, newest first, like a photo roll; filters, and a summary of the night. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { api, iso, ms, serverUrl, type EventFilter, type EventItem } from '../api/client';
import { duration, t, tCode, zone } from '../i18n';
import { Empty, Failed, Loading, toast, toastError, Tool, useKeys } from '../parts/basics';
import { Icon } from '../parts/icons';
import { go, href, replace, route } from '../router';
import { cameraName, cameras, eventTick } from '../state/cameras';
import { recountUnseen } from '../state/unseen';
import { serverNow } from '../time/server-clock';
import { DAY } from '../time/zone';
import { groupByDay, nightOf, type NightSummary, summarise } from './event-groups';
import { SearchPanel } from './region-search';
import { readRules } from './rules';

const PAGE = 60;
const LEAD = 3000;
export const EVENT_TYPES = ['motion', 'line', 'loiter', 'count-in', 'count-out', 'camera-offline', 'camera-frozen', 'camera-covered', 'camera-dark', 'camera-defocused', 'camera-moved'];

export function playHref(e: EventItem): string {
  return href(['timeline'], { cam: e.camera, t: iso(ms(e.start) - LEAD), span: 600, play: 1 });
}

interface Filter {
  camera: string;
  type: string;
  /** Name of a zone or line. */
  rule: string;
  seen: string;
  day: string;
  /** Hours of the day, site's time: "18-06" */
  hours: string;
}

function readFilter(): Filter {
  const q = route.value.query;
  const get = (k: string): string => q.get(k) ?? '';
  return { camera: get('cam'), type: get('type'), rule: get('rule'), seen: get('seen'), day: get('day'), hours: get('hours') };
}

function writeFilter(f: Filter): void {
  replace(href(['events'], { cam: f.camera, type: f.type, rule: f.rule, seen: f.seen, day: f.day, hours: f.hours }));
}

function toQuery(f: Filter): EventFilter {
  const q: EventFilter = { limit: PAGE };
  if (f.camera) q.camera = f.camera;
  if (f.type) q.type = f.type;
  if (f.rule) q.rule = f.rule;
  if (f.seen) q.seen = f.seen === '1';
  if (f.day) {
    const start = zone.value.startOfDay(Date.parse(`${f.day}T12:00:00Z`));
    q.from = iso(start);
    q.to = iso(start + DAY);
  }
  if (f.hours === 'night') {
    const night = nightOf(f.day ? Date.parse(`${f.day}T12:00:00Z`) + DAY / 2 : serverNow(), zone.value);
    q.from = iso(night.from);
    q.to = iso(night.to);
  }
  return q;
}

/* The list as far as it was scrolled; new events appear at its head. */
function useEvents(f: Filter): {
  items: EventItem[] | null; error: unknown; more: (() => void) | null; reload: () => void; mark: (ids: number[], seen: boolean) => void;
} {
  const items = useSignal<EventItem[] | null>(null);
  const next = useSignal<string | null>(null);
  const error = useSignal<unknown>(null);
  const loading = useRef(false);
  const key = JSON.stringify(f);
  const load = async (cursor?: string): Promise<void> => {
    if (loading.current) return;
    loading.current = true;
    try {
      const query = toQuery(f);
      if (cursor) query.cursor = cursor;
      const list = await api.events(query);
      items.value = cursor ? [...(items.value ?? []), ...list.items] : list.items;
      next.value = list.next;
      error.value = null;
    } catch (failure) {
      error.value = failure;
    } finally {
      loading.current = false;
    }
  };
  const refreshHead = async (): Promise<void> => {
    try {
      const list = await api.events(toQuery(f));
      const fresh = new Map(list.items.map((e) => [e.id, e]));
      const old = (items.value ?? []).map((e) => fresh.get(e.id) ?? e);
      const known = new Set(old.map((e) => e.id));
      items.value = [...list.items.filter((e) => !known.has(e.id)), ...old].sort((a, b) => ms(b.start) - ms(a.start) || b.id - a.id);
    } catch {
      // The next event tries again; the notice at the top says when the server is away.
    }
  };
  useEffect(() => {
    items.value = null;
    void load();
  }, [key]);
  useEffect(() => {
    if (items.value !== null) void refreshHead();
  }, [eventTick.value]);
  const mark = (ids: number[], seen: boolean): void => {
    const set = new Set(ids);
    const was = items.value;
    items.value = (was ?? []).map((e) => (set.has(e.id) ? { ...e, seen } : e));
    api.markSeen(ids, seen).then(recountUnseen, (failure: unknown) => {
      items.value = was;
      toastError(failure);
    });
  };
  return {
    items: items.value, error: error.value, reload: () => void load(), mark,
    more: next.value ? () => void load(next.value ?? undefined) : null,
  };
}

interface CardProps {
  event: EventItem;
  onMark: (seen: boolean) => void;
}

const SWIPE = 70;
const HOLD = 400; // ms a finger rests on a card to see it move
const isPhone = (): boolean => matchMedia('(max-width: 719px)').matches;

/** One event. Swiping it aside marks it, as does the button; it moves under a mouse, a resting finger or the focus. */
export function EventCard({ event: e, onMark }: CardProps) {
  const moving = useSignal(false);
  const dx = useSignal(0);
  const start = useRef<{ x: number; id: number } | null>(null);
  const swiped = useRef(false); // or held: lifting the finger opens nothing
  const hold = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const length = e.end ? ms(e.end) - ms(e.start) : null;
  const title = e.rule ? `${tCode('event', e.type)}: ${e.rule}` : tCode('event', e.type);
  const detail = e.thumbnail !== null && e.end !== null;
  return (
    <article class={`card${e.seen ? ' seen' : ''}`} data-event={e.id} style={dx.value ? { transform: `translateX(${dx.value}px)` } : undefined}
      onFocusIn={() => { moving.value = true; }} onFocusOut={() => { moving.value = false; clearTimeout(hold.current); }}
      onPointerEnter={(p) => { if (p.pointerType === 'mouse') moving.value = true; }} onPointerLeave={() => { moving.value = false; }}
      onPointerDown={(p) => { 
        swiped.current = false;
        if (p.pointerType === 'mouse') return;
        start.current = { x: p.clientX, id: p.pointerId };
        hold.current = setTimeout(() => { moving.value = swiped.current = true; }, HOLD);
      }}
      onPointerMove={(p) => {
        if (start.current?.id !== p.pointerId) return;
        dx.value = p.clientX - start.current.x;
        if (Math.abs(dx.value) > SWIPE / 8) clearTimeout(hold.current);
      }}
      onContextMenu={(c) => { if (moving.value && start.current) c.preventDefault(); }}
      onPointerCancel={() => { clearTimeout(hold.current); start.current = null; dx.value = 0; }}
      onPointerUp={() => {
        clearTimeout(hold.current);
        swiped.current ||= Math.abs(dx.value) > SWIPE / 4;
        if (Math.abs(dx.value) > SWIPE) onMark(!e.seen);
        start.current = null;
        dx.value = 0;
      }}>
      <a class="open" href={playHref(e)} draggable={false}
        onClick={(c) => { if (swiped.current) c.preventDefault(); else if (!e.seen) onMark(true); }}>
        <div class="thumb">
          {e.thumbnail ? <img src={serverUrl(e.thumbnail)} alt="" loading="lazy" draggable={false} /> : <Icon name="camera" size={34} />}
          {moving.value && detail && <video src={api.eventClipUrl(e.id, 'sub')} muted autoplay loop playsInline aria-hidden="true" />}
          {!e.seen && <span class="badge new warn">{t('events.new')}</span>}
          <span class="badge num">{length === null ? t('events.now') : duration(length)}</span>
        </div>
        <div class="text">
          <div class="grow">
            <strong class="ellipsis">{cameraName(e.camera)}</strong>
            <small class="num">{zone.value.clock(ms(e.start))} {zone.value.label}</small>
            <small class="ellipsis">{title}</small>
          </div>
        </div>
      </a>
      <span class="mark">
        <Tool icon={e.seen ? 'eye' : 'check'} quiet label={`${t(e.seen ? 'events.markNew' : 'events.markSeen')}: ${cameraName(e.camera)} ${zone.value.clock(ms(e.start))}`}
          onClick={() => onMark(!e.seen)} />
      </span>
    </article>
  );
}

/* Names of the zones and lines that CAMERA has (all cameras when empty), and CHOSEN even when it is gone. */
function ruleNames(camera: string, chosen: string): string[] {
  const names = new Set<string>(chosen ? [chosen] : []);
  for (const c of cameras.value ?? [])
    if (!camera || c.id === camera)
      for (const s of readRules(c.rules).shapes)
        if (s.kind !== 'ignore' && typeof s.rest.name === 'string' && s.rest.name) names.add(s.rest.name);
  return [...names].sort((a, b) => a.localeCompare(b));
}

function Filters({ f, onSearch }: { f: Filter; onSearch: () => void }) {
  const set = (change: Partial<Filter>) => (e: Event): void => {
    const value = (e.currentTarget as HTMLSelectElement).value;
    const key = Object.keys(change)[0] as keyof Filter;
    writeFilter({ ...f, [key]: value });
  };
  const rules = ruleNames(f.camera, f.rule);
  const active = [f.camera, f.type, f.rule, f.seen, f.day, f.hours].filter(Boolean).length;
  return (
    <details class="filter-box" open={!isPhone() || undefined}>
    <summary class="btn narrow-only"><Icon name="settings" />{t('events.filter')}{active > 0 && ` (${active})`}</summary>
    <div class="filters" role="search">
      <select aria-label={t('events.camera')} value={f.camera} onChange={set({ camera: '' })}>
        <option value="">{t('events.allCameras')}</option>
        {(cameras.value ?? []).map((c) => <option key={c.id} value={c.id}>{c.name}</option>)}
      </select>
      <select aria-label={t('events.type')} value={f.type} onChange={set({ type: '' })}>
        <option value="">{t('events.allTypes')}</option>
        {EVENT_TYPES.map((x) => <option key={x} value={x}>{tCode('event', x)}</option>)}
      </select>
      {rules.length > 0 && (
        <select aria-label={t('events.rule')} value={f.rule} onChange={set({ rule: '' })}>
          <option value="">{t('events.allRules')}</option>
          {rules.map((x) => <option key={x} value={x}>{x}</option>)}
        </select>
      )}
      <select aria-label={t('events.seen')} value={f.seen} onChange={set({ seen: '' })}>
        <option value="">{t('events.seenAny')}</option>
        <option value="0">{t('events.seenNo')}</option>
        <option value="1">{t('events.seenYes')}</option>
      </select>
      <select aria-label={t('events.hours')} value={f.hours} onChange={set({ hours: '' })}>
        <option value="">{t('events.allDay')}</option>
        <option value="night">{t('events.night')}</option>
      </select>
      <input type="date" aria-label={t('events.day')} value={f.day} style="width:auto" max={zone.value.dateField(serverNow())} onChange={set({ day: '' })} />
      {(f.camera || f.type || f.rule || f.seen || f.day || f.hours) && (
        <button type="button" class="btn quiet" onClick={() => writeFilter({ camera: '', type: '', rule: '', seen: '', day: '', hours: '' })}>{t('events.clear')}</button>
      )}
      <button type="button" class="btn" onClick={onSearch}><Icon name="search" />{t('search.open')}</button>
    </div>
    </details>
  );
}

/** The night in numbers: for the head of the watch, in the evening and the morning after. */
function Tonight() {
  const s = useSignal<NightSummary | null>(null);
  const night = nightOf(serverNow(), zone.value);
  useEffect(() => {
    let live = true;
    api.events({ from: iso(night.from), to: iso(Math.min(night.to, serverNow())), limit: 1000 })
      .then((list) => { if (live) s.value = summarise(list.items); }, () => undefined);
    return () => { live = false; };
  }, [night.from, eventTick.value]);
  if (!s.value) return null;
  const v = s.value;
  return (
    <section aria-label={t('tonight.title')}>
      <h2 style="margin-bottom:8px">{t(serverNow() > night.to ? 'tonight.last' : 'tonight.title')} <span class="dim num" style="font-weight:400;font-size:13px">
        {zone.value.hourMinute(night.from)}–{zone.value.hourMinute(night.to)} {zone.value.label}</span></h2>
      <div class="summary">
        <div class="stat"><b>{v.total}</b><span>{t('tonight.total')}</span></div>
        <div class="stat"><b>{v.unseen}</b><span>{t('tonight.unseen')}</span></div>
        <div class="stat"><b class="words">{v.busiest ? cameraName(v.busiest) : '–'}</b><span>{t('tonight.busiest')}</span></div>
        <div class={`stat${v.trouble ? ' bad' : ''}`}><b>{v.trouble}</b><span>{t('tonight.trouble')}</span></div>
      </div>
    </section>
  );
}

function Roll({ items, more, mark }: { items: EventItem[]; more: (() => void) | null; mark: (ids: number[], seen: boolean) => void }) {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!more || !end.current) return undefined;
    const observer = new IntersectionObserver((x) => { if (x.some((y) => y.isIntersecting)) more(); }, { rootMargin: '600px' });
    observer.observe(end.current);
    return () => observer.disconnect();
  });
  return (
    <>
      {groupByDay(items, zone.value).map((g, i, all) => (
        <section key={g.day}>
          <h2 class="day-head">{zone.value.longDate(g.day)} <span class="dim num" style="font-weight:400">{t(more && i === all.length - 1 ? 'events.countMore' : 'events.count', { n: g.items.length })}</span></h2>
          <div class="cards">
            {g.items.map((e) => <EventCard key={e.id} event={e} onMark={(seen) => mark([e.id], seen)} />)}
          </div>
        </section>
      ))}
      <div ref={end} style="height:1px" />
      {more && <button type="button" class="btn" style="margin:16px auto;display:flex" onClick={more}>{t('events.more')}</button>}
    </>
  );
}

export function EventsPage() {
  const f = readFilter();
  const { items, error, more, reload, mark } = useEvents(f);
  const searching = useSignal(false);
  const plain = !f.camera && !f.type && !f.rule && !f.day && !f.hours && f.seen === '';
  const fresh = (items ?? []).filter((e) => !e.seen).map((e) => e.id);
  const list = useRef<HTMLDivElement>(null);
  useKeys((k) => {
    const cards = [...(list.current?.querySelectorAll<HTMLElement>('.card') ?? [])];
    const at = cards.findIndex((c) => c.contains(document.activeElement));
    const focus = (i: number): void => cards[Math.max(0, Math.min(cards.length - 1, i))]?.querySelector<HTMLElement>('a.open')?.focus();
    const current = items?.find((e) => e.id === Number(cards[at]?.dataset.event));
    if (k.key === 'j' || k.key === 'ArrowRight') focus(at + 1);
    else if (k.key === 'k' || k.key === 'ArrowLeft') focus(at - 1);
    else if (k.key === 's' && current) mark([current.id], !current.seen);
    else if (k.key === '/') searching.value = true;
    else return false;
    return true;
  });
  return (
    <>
      <div class="bar">
        <h1 class="grow">{t('nav.events')}</h1>
        {fresh.length > 0 && (
          <button type="button" class="btn" onClick={() => { mark(fresh, true); toast(t('events.marked', { n: fresh.length })); }}>
            <Icon name="check" /><span>{t('events.markAll')}</span>
          </button>
        )}
      </div>
      <div class="content" ref={list}>
        {plain && <Tonight />}
        <Filters f={f} onSearch={() => { searching.value = true; }} />
        {items === null ? (error ? <Failed error={error} retry={reload} /> : <Loading />)
          : items.length === 0 ? <NoEvents plain={plain} /> : <Roll items={items} more={more} mark={mark} />}
      </div>
      {searching.value && (
        <SearchPanel camera={f.camera} onClose={() => { searching.value = false; }}
          onPick={(camera, at) => go(href(['timeline'], { cam: camera, t: iso(at - LEAD), span: 600, play: 1 }))} />
      )}
    </>
  );
}

function NoEvents({ plain }: { plain: boolean }) {
  return (
    <Empty icon="events" title={t(plain ? 'events.none' : 'events.noneFiltered')}>
      <p>{t(plain ? 'events.noneHint' : 'events.noneFilteredHint')}</p>
    </Empty>
  );
}

