/* region-search.tsx - "show me all motion in this corner": cells of the picture are marked, the catalog answers. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { api, ms } from '../api/client';
import { duration, t, zone } from '../i18n';
import { Dialog, Field, toastError } from '../parts/basics';
import { cameras } from '../state/cameras';
import { serverNow } from '../time/server-clock';
import { DAY, HOUR } from '../time/zone';
import { cellsToHex, GRID_H, GRID_W } from './grid';

interface Hit {
  start: number;
  end: number;
}

interface SearchProps {
  camera: string;
  onClose: () => void;
  onPick: (camera: string, at: number) => void;
}

const SPANS = [HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY];

/** A picture divided into 16 x 9 cells; they are painted with the pointer, or with keys one by one. */
function GridPicker({ camera, cells, onChange }: { camera: string; cells: ReadonlySet<number>; onChange: (c: Set<number>) => void }) {
  const painting = useRef<boolean | null>(null);
  const cursor = useSignal(0);
  const box = useRef<HTMLDivElement>(null);
  const at = (e: PointerEvent): number => {
    const r = box.current!.getBoundingClientRect();
    const x = Math.min(GRID_W - 1, Math.max(0, Math.floor(((e.clientX - r.left) / r.width) * GRID_W)));
    const y = Math.min(GRID_H - 1, Math.max(0, Math.floor(((e.clientY - r.top) / r.height) * GRID_H)));
    return y * GRID_W + x;
  };
  const put = (cell: number, on: boolean): void => {
    const next = new Set(cells);
    if (on) next.add(cell);
    else next.delete(cell);
    onChange(next);
  };
  const key = (e: KeyboardEvent): void => {
    const move: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -GRID_W, ArrowDown: GRID_W };
    const by = move[e.key];
    if (by !== undefined) cursor.value = (cursor.value + by + GRID_W * GRID_H) % (GRID_W * GRID_H);
    else if (e.key === ' ' || e.key === 'Enter') put(cursor.value, !cells.has(cursor.value));
    else return;
    e.preventDefault();
  };
  return (
    <div class="draw" ref={box} tabIndex={0} role="application" aria-label={t('search.grid', { n: cells.size })} onKeyDown={key}
      onPointerDown={(e) => { painting.current = !cells.has(at(e)); put(at(e), painting.current); box.current?.setPointerCapture(e.pointerId); }}
      onPointerMove={(e) => { if (painting.current !== null && cells.has(at(e)) !== painting.current) put(at(e), painting.current); }}
      onPointerUp={() => { painting.current = null; }} onPointerCancel={() => { painting.current = null; }}>
      <img src={api.snapshotUrl(camera, 0)} alt="" draggable={false} />
      <svg viewBox={`0 0 ${GRID_W} ${GRID_H}`} preserveAspectRatio="none" aria-hidden="true">
        {[...cells].map((c) => <rect key={c} x={c % GRID_W} y={Math.floor(c / GRID_W)} width="1" height="1" fill="rgb(76 194 168 / .55)" />)}
        <rect x={cursor.value % GRID_W} y={Math.floor(cursor.value / GRID_W)} width="1" height="1" fill="none" stroke="#fff" stroke-width=".08" />
      </svg>
    </div>
  );
}

export function SearchPanel({ camera: first, onClose, onPick }: SearchProps) {
  const list = cameras.value ?? [];
  const camera = useSignal(first || (list[0]?.id ?? ''));
  const cells = useSignal<ReadonlySet<number>>(new Set());
  const span = useSignal(DAY);
  const hits = useSignal<Hit[] | null>(null);
  const busy = useSignal(false);
  const search = async (): Promise<void> => {
    busy.value = true;
    try {
      const now = serverNow();
      const found = await api.activity(camera.value, now - span.value, now, cellsToHex(cells.value));
      hits.value = found.items.map((h) => ({ start: ms(h.start), end: ms(h.end) }));
    } catch (error) {
      toastError(error);
    } finally {
      busy.value = false;
    }
  };
  const footer = (
    <>
      <button type="button" class="btn quiet" onClick={() => { cells.value = new Set(); }}>{t('search.clear')}</button>
      <button type="button" class="btn primary" disabled={busy.value || cells.value.size === 0} onClick={() => void search()}>{t('search.go')}</button>
    </>
  );
  return (
    <Dialog title={t('search.title')} onClose={onClose} footer={footer}>
      <div class="row">
        <div class="grow"><Field label={t('events.camera')}>
          {(id) => (
            <select id={id} value={camera.value} onChange={(e) => { camera.value = (e.currentTarget as HTMLSelectElement).value; hits.value = null; }}>
              {list.map((c) => <option key={c.id} value={c.id}>{c.name}</option>)}
            </select>
          )}
        </Field></div>
        <div class="grow"><Field label={t('search.span')}>
          {(id) => (
            <select id={id} value={String(span.value)} onChange={(e) => { span.value = Number((e.currentTarget as HTMLSelectElement).value); }}>
              {SPANS.map((s) => <option key={s} value={String(s)}>{duration(s)}</option>)}
            </select>
          )}
        </Field></div>
      </div>
      <p class="dim">{t('search.hint')}</p>
      <GridPicker camera={camera.value} cells={cells.value} onChange={(c) => { cells.value = c; }} />
      <div role="status" style="margin-top:12px">
        {hits.value?.length === 0 && <p>{t('search.none')}</p>}
        {hits.value && hits.value.length > 0 && (
          <div class="menu-list" style="max-height:38vh;overflow-y:auto">
            {hits.value.map((h) => (
              <button key={h.start} type="button" class="num" onClick={() => onPick(camera.value, h.start)}>
                <span class="grow">{zone.value.full(h.start)}</span><span class="dim">{duration(h.end - h.start)}</span>
              </button>
            ))}
          </div>
        )}
      </div>
    </Dialog>
  );
}
