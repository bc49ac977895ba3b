/* timeline.tsx - recordings: up to four cameras on one clock above the timeline of all. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { api, msOr, type StreamName } from '../api/client';
import { duration, number, t, tCode, zone } from '../i18n';
import { Empty, Loading, toast, toastError, Tool, useKeys } from '../parts/basics';
import { Icon } from '../parts/icons';
import { ShareLink } from '../parts/share-link';
import { Deck, RATES } from '../player/deck';
import { RecordingView } from '../player/view';
import { href, parseHash, replace, route } from '../router';
import { cameraById, cameras } from '../state/cameras';
import { setting } from '../state/session';
import { serverNow } from '../time/server-clock';
import { HOUR } from '../time/zone';
import { Board, type Marks } from '../timeline/board';
import { TimelineData } from '../timeline/data';
import { JumpDialog } from '../timeline/jump';
import { nextEvent, previousEvent } from '../timeline/neighbours';
import { nextStop, pan, spanParts, type View, zoom } from '../timeline/scale';
import { arrange } from './wall-layout';

const MAX_VIEWS = 4;
const EVENT_LEAD = 3000;
const START_BACK = 60_000;

interface State {
  deck: Deck;
  data: TimelineData;
  view: Signal<View>;
  marks: Signal<Marks>;
  selected: Signal<string[]>;
}

/* What the address says; what it leaves out has a sensible default. */
function fromAddress(): { cams: string[]; t: number; span: number; play: boolean; marks: Marks } {
  const q = route.peek().query;
  const known = cameraById.peek();
  const cams = (q.get('cam') ?? '').split(',').filter((id) => known.has(id)).slice(0, MAX_VIEWS);
  const span = Number(q.get('span'));
  const first = arrange(cameras.peek() ?? [], setting<string[]>('wall.order', []))[0];
  return {
    cams: cams.length ? cams : first ? [first.id] : [],
    t: msOr(q.get('t')) || serverNow() - START_BACK,
    span: span > 0 ? span * 1000 : HOUR,
    play: q.get('play') === '1',
    marks: { from: msOr(q.get('in')), to: msOr(q.get('out')) },
  };
}

function useTimeline(): State {
  const a = useMemo(fromAddress, []);
  const deck = useMemo(() => new Deck(), []);
  const data = useMemo(() => new TimelineData(), []);
  const view = useSignal<View>({ from: a.t - a.span * 0.6, span: a.span });
  const marks = useSignal<Marks>(a.marks);
  const selected = useSignal(a.cams);
  const written = useRef(location.hash);

  const apply = (): void => {
    const b = fromAddress();
    selected.value = b.cams;
    marks.value = b.marks;
    deck.seek(b.t);
    if (b.play) deck.play();
    if (b.t < view.peek().from || b.t > view.peek().from + view.peek().span || b.span !== view.peek().span)
      view.value = { from: b.t - b.span * 0.6, span: b.span };
  };
  useEffect(() => {
    apply();
    deck.start();
    const write = (): void => {
      if (parseHash(location.hash).path[0] !== 'timeline') return; // on the way to another page
      const q = { cam: selected.peek().join(','), t: new Date(deck.time.peek()).toISOString(),
        span: Math.round(view.peek().span / 1000), in: markText(marks.peek().from), out: markText(marks.peek().to),
        play: deck.playing.peek() ? 1 : undefined };
      written.current = href(['timeline'], q);
      replace(written.current);
    };
    const timer = setInterval(write, 700);
    const stopRoute = route.subscribe((r) => {
      if (r.path[0] === 'timeline' && location.hash !== written.current) {
        written.current = location.hash;
        apply();
      }
    });
    const stopFollow = deck.time.subscribe((now) => {
      const v = view.peek();
      if (!deck.playing.peek()) return;
      if (now > v.from + v.span * 0.95 && now < v.from + v.span * 1.3) view.value = { from: now - v.span * 0.25, span: v.span };
    });
    return () => {
      clearInterval(timer);
      stopRoute();
      stopFollow();
      deck.stop();
    };
  }, []);
  return { deck, data, view, marks, selected };
}

const markText = (v: number | null): string | undefined => (v === null ? undefined : new Date(v).toISOString());

function rateText(r: number): string {
  if (r === 0.25) return '¼×';
  return r === 0.5 ? '½×' : `${number(r)}×`;
}

/* Sub-streams suffice for small views and for speed; a codec this browser lacks leaves only them. */
function streamOf(id: string, views: number, rate: number, small: boolean): StreamName {
  const sub = cameraById.value.get(id)?.has_sub ?? false;
  return sub && (views > 2 || rate >= 8 || small) ? 'sub' : 'main';
}

const MAIN_BUDGET = 8; // main streams at once that any machine decodes: views times speed

/* Every frame, or only key frames: when the machine has shown that it cannot, or surely will not. Paused, the exact frame. */
function keysOnlyOf(stream: StreamName, views: number, deck: Deck): boolean {
  const rate = deck.rate.value;
  return deck.playing.value && rate > 1 && (deck.keysOnly.value || (stream === 'main' && views * rate > MAIN_BUDGET));
}

const SLOW_FOR = 120_000; // ms
let slowUntil = 0; // the next recording that is opened need not be waited for in vain again

function Stage({ s, scrub }: { s: State; scrub: number | null }) {
  const noMain = useSignal<ReadonlySet<string>>(new Set());
  const slow = useSignal(performance.now() < slowUntil);
  const list = s.selected.value;
  const rate = s.deck.rate.value;
  const wide = matchMedia('(min-width: 720px)').matches;
  const cols = list.length === 1 ? 1 : list.length === 2 ? (wide ? 2 : 1) : 2;
  const reason = (camera: string) => (at: number): string =>
    s.data.row(s.view.peek(), camera)?.gaps.find((g) => at >= g.from && at < g.to)?.reason ?? '';
  return (
    <div class="tl-stage" style={{ '--cols': cols }}>
      {list.map((id) => {
        const stream = streamOf(id, list.length, rate, slow.value || noMain.value.has(id));
        const keysOnly = keysOnlyOf(stream, list.length, s.deck);
        return (
          <RecordingView key={`${id}/${stream}/${keysOnly}`} deck={s.deck} camera={id} stream={stream} keysOnly={keysOnly} scrub={scrub} gapReason={reason(id)}
            onSlow={() => {
              if (stream === 'sub' || !cameraById.peek().get(id)?.has_sub) return;
              slowUntil = performance.now() + SLOW_FOR;
              slow.value = true;
              toast(t('solo.slow'));
            }}
            onCodec={() => { noMain.value = new Set([...noMain.value, id]); }}
            onRemove={list.length > 1 ? () => { s.selected.value = list.filter((x) => x !== id); } : undefined} />
        );
      })}
    </div>
  );
}

interface ControlProps {
  s: State;
  onJump: () => void;
  onEvent: (forward: boolean) => void;
}

function Controls({ s, onJump, onEvent }: ControlProps) {
  const { deck } = s;
  const playing = deck.playing.value;
  return (
    <div class="tl-controls">
      <button type="button" class="btn quiet tl-clock" onClick={onJump} title={`${t('jump.title')} (G)`}>
        <span><span class="sr">{t('jump.title')}: </span>{zone.value.clock(deck.time.value, !playing)}<small>{zone.value.shortDate(deck.time.value)} {zone.value.label}</small></span>
      </button>
      <span class="grow" />
      <Tool icon="prevEvent" label={t('player.prevEvent')} keys="P" onClick={() => onEvent(false)} />
      <span class="wide-only"><Tool icon="stepBack" label={t('player.stepBack')} keys="," onClick={() => deck.step(false)} /></span>
      <button type="button" class="btn primary icon-only play" aria-label={t(playing ? 'player.pause' : 'player.play')}
        title={`${t(playing ? 'player.pause' : 'player.play')} (${t('key.space')})`} onClick={() => deck.toggle()}>
        <Icon name={playing ? 'pause' : 'play'} size={26} />
      </button>
      <span class="wide-only"><Tool icon="stepForward" label={t('player.stepForward')} keys="." onClick={() => deck.step(true)} /></span>
      <Tool icon="nextEvent" label={t('player.nextEvent')} keys="N" onClick={() => onEvent(true)} />
      <select aria-label={t('player.speed')} class="speed" value={String(deck.rate.value)}
        onChange={(e) => deck.setRate(Number((e.currentTarget as HTMLSelectElement).value))}>
        {RATES.map((r) => <option key={r} value={String(r)}>{rateText(r)}</option>)}
      </select>
      <span class="grow wide-only" />
      <span class="break narrow-only" />
      <span class="narrow-only"><Tool icon="stepBack" label={t('player.stepBack')} onClick={() => deck.step(false)} /></span>
      <span class="narrow-only"><Tool icon="stepForward" label={t('player.stepForward')} onClick={() => deck.step(true)} /></span>
      <span class="grow narrow-only" />
      <MarkTools s={s} />
    </div>
  );
}

/** In and out points, and what can be done with what lies between. */
function MarkTools({ s }: { s: State }) {
  const m = s.marks.value;
  const set = (change: Partial<Marks>): void => {
    const next = { ...s.marks.peek(), ...change };
    if (next.from !== null && next.to !== null && next.to <= next.from) {
      if (change.to !== undefined) next.from = null;
      else next.to = null;
    }
    s.marks.value = next;
  };
  const at = (): number => Math.round(s.deck.time.peek());
  const ready = m.from !== null && m.to !== null;
  const one = s.selected.value.length === 1 ? s.selected.value[0] : undefined;
  return (
    <>
      <Tool icon="in" label={m.from === null ? t('mark.in') : t('mark.inAt', { time: zone.value.clock(m.from) })} keys="I"
        pressed={m.from !== null} onClick={() => set({ from: at() })} />
      <Tool icon="out" label={m.to === null ? t('mark.out') : t('mark.outAt', { time: zone.value.clock(m.to) })} keys="O"
        pressed={m.to !== null} onClick={() => set({ to: at() })} />
      {ready && one && (
        <a class="btn" download href={api.clipUrl(one, m.from!, m.to!, 'main')} title={t('mark.download')}>
          <Icon name="download" /><span>{duration(m.to! - m.from!)}</span>
        </a>
      )}
      {ready && (
        <>
          <Tool icon="clip" label={t('mark.clip')} href={href(['clip'], { cam: s.selected.value.join(','), in: markText(m.from), out: markText(m.to) })} />
          <Tool icon="close" quiet label={t('mark.clear')} onClick={() => { s.marks.value = { from: null, to: null }; }} />
        </>
      )}
    </>
  );
}

function ZoomTools({ s }: { s: State }) {
  const v = s.view.value;
  const parts = spanParts(v.span);
  const by = (inward: boolean): void => {
    const at = s.deck.time.peek();
    const anchor = at >= v.from && at <= v.from + v.span ? at : v.from + v.span / 2;
    s.view.value = zoom(v, nextStop(v.span, inward) / v.span, anchor);
  };
  return (
    <div class="tl-foot">
      <span class="wide-only"><Tool icon="back" label={t('timeline.earlier')} keys="PageUp" onClick={() => { s.view.value = pan(v, -v.span / 2); }} /></span>
      <Tool icon="minus" label={t('zoom.out')} keys="-" onClick={() => by(false)} />
      <span class="num nowrap" style="min-width:64px;text-align:center">{t(`span.${parts.unit}`, { n: parts.n })}</span>
      <Tool icon="plus" label={t('zoom.in')} keys="+" onClick={() => by(true)} />
      <span class="wide-only"><Tool icon="forward" label={t('timeline.later')} keys="PageDown" onClick={() => { s.view.value = pan(v, v.span / 2); }} /></span>
      <button type="button" class="btn" onClick={() => toNow(s)}>{t('timeline.now')}</button>
      <span class="grow" />
      <div class="legend wide-only">
        <span><i style="background:var(--rec)" />{t('legend.recorded')}</span>
        <span><i style="background:var(--motion)" />{t('legend.motion')}</span>
        <span><i style="background:repeating-linear-gradient(135deg,var(--gap-a) 0 3px,var(--gap-b) 3px 6px)" />{t('legend.gap')}</span>
      </div>
      <ShareLink label={t('timeline.copy')} />
    </div>
  );
}

function toNow(s: State): void {
  const now = serverNow();
  s.deck.seek(now - 5000);
  s.view.value = { from: now - s.view.peek().span * 0.85, span: s.view.peek().span };
}

function useTimelineKeys(s: State, jump: Signal<boolean>, onEvent: (forward: boolean) => void): void {
  useKeys((e) => {
    const { deck, view } = s;
    const v = view.peek();
    const near = e.shiftKey ? 60_000 : 5000;
    if (e.key === ' ') deck.toggle();
    else if (e.key === 'ArrowLeft') deck.seek(deck.time.peek() - near);
    else if (e.key === 'ArrowRight') deck.seek(deck.time.peek() + near);
    else if (e.key === ',') deck.step(false);
    else if (e.key === '.') deck.step(true);
    else if (e.key === 'n') onEvent(true);
    else if (e.key === 'p') onEvent(false);
    else if (e.key === 'g') jump.value = true;
    else if (e.key === 'i') s.marks.value = { from: deck.time.peek(), to: null };
    else if (e.key === 'o') s.marks.value = { ...s.marks.peek(), to: deck.time.peek() };
    else if (e.key === '+' || e.key === '=') view.value = zoom(v, nextStop(v.span, true) / v.span, deck.time.peek());
    else if (e.key === '-') view.value = zoom(v, nextStop(v.span, false) / v.span, deck.time.peek());
    else if (e.key === 'PageUp') view.value = pan(v, -v.span / 2);
    else if (e.key === 'PageDown') view.value = pan(v, v.span / 2);
    else if (e.key === 'l') toNow(s);
    else if (e.key === '<') deck.setRate(RATES[Math.max(0, RATES.indexOf(deck.rate.peek() as 1) - 1)] ?? 1);
    else if (e.key === '>') deck.setRate(RATES[Math.min(RATES.length - 1, RATES.indexOf(deck.rate.peek() as 1) + 1)] ?? 1);
    else return false;
    return true;
  });
}

function Inner() {
  const s = useTimeline();
  const jump = useSignal(false);
  const scrub = useSignal<number | null>(null);
  const { deck, selected, view } = s;
  const list = useMemo(() => arrange(cameras.peek() ?? [], setting<string[]>('wall.order', [])), [cameras.value?.length]);

  const seek = (at: number): void => {
    deck.seek(at);
    const v = view.peek();
    if (at < v.from || at > v.from + v.span) view.value = { from: at - v.span / 2, span: v.span };
  };
  const toEvent = (forward: boolean): void => {
    const at = deck.time.peek();
    // The play head stands a little before the event one came to: count from behind it.
    (forward ? nextEvent(at + EVENT_LEAD, selected.peek()) : previousEvent(at, selected.peek())).then((e) => {
      if (!e) toast(t(forward ? 'player.noLater' : 'player.noEarlier'));
      else seek(Date.parse(e.start) - EVENT_LEAD);
    }, toastError);
  };
  useTimelineKeys(s, jump, toEvent);
  useEffect(() => deck.skipped.subscribe((gap) => { if (gap > 2000) toast(t('player.skipped', { gap: duration(gap) })); }), []);

  const toggle = (id: string): void => {
    const now = selected.peek();
    if (!now.includes(id)) selected.value = [...now, id].slice(-MAX_VIEWS);
    else if (now.length > 1) selected.value = now.filter((x) => x !== id);
  };
  return (
    <div class="tl-page">
      <h1 class="sr">{t('nav.timeline')}</h1>
      <Stage s={s} scrub={scrub.value} />
      <Controls s={s} onJump={() => { jump.value = true; }} onEvent={toEvent} />
      {s.data.failure.value ? <p class="notice warn" role="alert">{tCode('timeline', 'failed')}</p> : null}
      <Board cameras={list} data={s.data} view={view} time={deck.time} marks={s.marks} selected={selected}
        onSeek={(at, camera) => {
          if (camera && !selected.peek().includes(camera)) selected.value = [camera];
          seek(at);
        }}
        onScrub={(at) => {
          deck.holding = at !== null;
          if (at === null) {
            const last = scrub.peek();
            scrub.value = null;
            if (last !== null) deck.seek(last);
          } else {
            scrub.value = at;
            deck.time.value = at;
          }
        }}
        onShow={(id) => { selected.value = [id]; }} onToggle={toggle} />
      <ZoomTools s={s} />
      {jump.value && (
        <JumpDialog at={deck.time.peek()} cameras={selected.peek()} onClose={() => { jump.value = false; }}
          onGo={(at) => { jump.value = false; seek(Math.min(at, serverNow())); }} />
      )}
    </div>
  );
}

export function TimelinePage() {
  const list = cameras.value;
  if (list === null) return <Loading />;
  if (list.length === 0) return <Empty icon="timeline" title={t('wall.none')} />;
  return <Inner />;
}

