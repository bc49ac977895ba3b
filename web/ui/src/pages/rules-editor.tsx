/* rules-editor.tsx - zones, lines and what to ignore, drawn on the picture; each handle also moves by keys. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { api, type Camera, type CameraChange } from '../api/client';
import { t } from '../i18n';
import { errorText, Field, toast, Tool } from '../parts/basics';
import { Handles } from '../parts/handles';
import { Icon } from '../parts/icons';
import { atLeast } from '../state/session';
import { addPoint, freeName, inSide, MAX_SHAPES, movePoint, newShape, place, type Point, readHours, readRules, removePoint, type Rules, type Shape, wrongShape, writeRules } from './rules';
import { RulesTrial } from './rules-trial';

const COLOURS = { zone: '#4cc2a8', line: '#c9b3ff', ignore: '#ff8a7a' };

interface CanvasProps {
  camera: string;
  picture: boolean; // there is one to draw on
  shapes: Shape[];
  chosen: number;
  onChoose: (i: number) => void;
  onChange: (s: Shape) => void;
}

function Outline({ shape: s, on, onChoose }: { shape: Shape; on: boolean; onChoose: () => void }) {
  const points = s.points.map((p) => `${p[0] * 1600},${p[1] * 900}`).join(' ');
  const look = { stroke: COLOURS[s.kind], 'stroke-width': on ? 6 : 4, fill: s.kind === 'line' ? 'none' : COLOURS[s.kind], 'fill-opacity': on ? 0.28 : 0.14,
    'stroke-dasharray': s.kind === 'ignore' ? '16 10' : undefined, onPointerDown: onChoose };
  if (s.kind !== 'line') return <polygon points={points} {...look} />;
  const arrow = inSide(s);
  return (
    <g>
      <polyline points={points} {...look} />
      {arrow && <path d={`M${arrow[0][0] * 1600} ${arrow[0][1] * 900}L${arrow[1][0] * 1600} ${arrow[1][1] * 900}`} stroke={COLOURS.line} stroke-width="6" marker-end="url(#tip)" />}
    </g>
  );
}

function DrawingBoard({ camera, picture, shapes, chosen, onChoose, onChange }: CanvasProps) {
  const box = useRef<HTMLDivElement>(null);
  const toPoint = (e: PointerEvent): Point => {
    const r = box.current!.getBoundingClientRect();
    return place((e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height);
  };
  const active = shapes[chosen];
  return (
    <div class="draw" ref={box}>
      {picture && <img src={api.snapshotUrl(camera, Math.floor(Date.now() / 30_000))} alt="" draggable={false} />}
      <svg viewBox="0 0 1600 900" preserveAspectRatio="none" aria-hidden="true">
        <defs><marker id="tip" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="4" markerHeight="4" orient="auto"><path d="M0 0L10 5L0 10z" fill={COLOURS.line} /></marker></defs>
        {shapes.map((s, i) => <Outline key={i} shape={s} on={i === chosen} onChoose={() => onChoose(i)} />)}
      </svg>
      {active && <Handles points={active.points} label={(i) => t('rules.point', { n: i + 1 })} toPoint={toPoint}
        onMove={(i, p) => onChange(movePoint(active, i, place(p[0], p[1])))} onDelete={(i) => onChange(removePoint(active, i))} />}
    </div>
  );
}

function Details({ shape: s, onChange, onRemove }: { shape: Shape; onChange: (s: Shape) => void; onRemove: () => void }) {
  const set = (key: string, value: unknown): void => {
    const rest = { ...s.rest };
    if (value === undefined || value === '') delete rest[key];
    else rest[key] = value;
    onChange({ ...s, rest });
  };
  const value = (e: Event): string => (e.currentTarget as HTMLInputElement).value;
  const seconds = (e: Event): number | undefined => Number(value(e)) || undefined;
  const hours = Array.isArray(s.rest.hours) ? (s.rest.hours as string[]).join(', ') : '';
  return (
    <div class="panel" style="margin-top:12px">
      {s.kind !== 'ignore' && (
        <Field label={t('cameras.name')}>{(id) => <input id={id} type="text" maxLength={63} value={String(s.rest.name ?? '')} onInput={(e) => set('name', value(e))} />}</Field>
      )}
      {s.kind === 'zone' && (
        <div class="row">
          <div class="grow"><Field label={t('rules.loiter')} hint={t('rules.loiterHint')}>{(id) => <input id={id} type="number" min={1} value={String(s.rest.loiter ?? '')} onInput={(e) => set('loiter', seconds(e))} />}</Field></div>
          <div class="grow"><Field label={t('rules.hours')} hint={t('rules.hoursHint')}>{(id) => (
            <input id={id} type="text" placeholder="22:00-05:00" value={hours} onChange={(e) => set('hours', value(e).trim() ? readHours(value(e)) : undefined)} />
          )}</Field></div>
        </div>
      )}
      {s.kind === 'line' && (
        <>
          <Field label={t('rules.direction')} hint={t('rules.directionHint')}>{(id) => (
            <select id={id} value={String(s.rest.direction ?? 'both')} onChange={(e) => set('direction', value(e))}>
              {(['both', 'in', 'out'] as const).map((d) => <option key={d} value={d}>{t(`rules.${d}`)}</option>)}
            </select>
          )}</Field>
          <label class="check"><input type="checkbox" checked={s.rest.count === true} onChange={(e) => set('count', (e.currentTarget as HTMLInputElement).checked || undefined)} />{t('rules.count')}</label>
        </>
      )}
      <div class="row">
        {s.kind !== 'line' && <Tool icon="plus" text label={t('rules.corner')} onClick={() => onChange(addPoint(s))} />}
        {s.kind === 'line' && <Tool icon="move" text label={t('rules.turn')} onClick={() => onChange({ ...s, points: [...s.points].reverse() })} />}
        <span class="grow" />
        <Tool icon="trash" text label={t('action.delete')} onClick={onRemove} />
      </div>
    </div>
  );
}

const KINDS = ['zone', 'line', 'ignore'] as const;

export function RulesEditor({ camera, locked }: { camera: Camera; locked: boolean }) {
  const rules = useSignal<Rules>(readRules(camera.rules));
  const chosen = useSignal(0);
  const changed = useSignal(false);
  const error = useSignal('');
  const { shapes } = rules.value;
  const set = (next: Shape[]): void => {
    rules.value = { ...rules.value, shapes: next };
    changed.value = true;
    error.value = '';
  };
  const add = (kind: Shape['kind']): void => {
    set([...shapes, newShape(kind, freeName(t(`rules.${kind}`), shapes))]);
    chosen.value = shapes.length;
  };
  const save = async (): Promise<void> => {
    const wrong = wrongShape(shapes);
    if (wrong) {
      error.value = t(wrong.why);
      chosen.value = wrong.at;
      return;
    }
    try {
      await api.changeCamera(camera.id, { rules: writeRules(rules.value) as CameraChange['rules'] & object | null });
      changed.value = false;
      toast(t('cameras.saved'));
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  const active = shapes[chosen.value];
  return (
    <section class="panel">
      <h2>{t('rules.title')}</h2>
      <p class="dim">{t(shapes.length ? 'rules.hint' : 'rules.whole')}</p>
      <DrawingBoard camera={camera.id} picture={Boolean(camera.picture)} shapes={shapes} chosen={chosen.value} onChoose={(i) => { chosen.value = i; }}
        onChange={(s) => !locked && set(shapes.map((x, i) => (i === chosen.value ? s : x)))} />
      {!locked && (
        <>
          <div class="row" style="margin-top:10px">
            {KINDS.map((k) => <button key={k} type="button" class="btn" disabled={shapes.filter((s) => s.kind === k).length >= MAX_SHAPES} onClick={() => add(k)}><Icon name="plus" size={18} />{t(`rules.${k}`)}</button>)}
          </div>
          <div class="row" style="margin-top:10px" role="group" aria-label={t('rules.title')}>
            {shapes.map((s, i) => <button key={i} type="button" class="btn" aria-pressed={i === chosen.value} onClick={() => { chosen.value = i; }}>{String(s.rest.name ?? t('rules.ignore'))}</button>)}
          </div>
          {active && <Details key={chosen.value} shape={active} onChange={(s) => set(shapes.map((x, i) => (i === chosen.value ? s : x)))}
            onRemove={() => { set(shapes.filter((_, i) => i !== chosen.value)); chosen.value = 0; }} />}
          <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
          <button type="button" class="btn primary" disabled={!changed.value} onClick={() => void save()}>{t('action.save')}</button>
        </>
      )}
      {atLeast('admin') && <RulesTrial camera={camera.id} rules={() => writeRules(rules.value)} />}
    </section>
  );
}
