/* clip.tsx - a stretch of one to many cameras to take away: choose, look, note, download. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, iso, msOr, type StreamName } from '../api/client';
import { bytes, duration, t, zone } from '../i18n';
import { Empty, errorText, Field, Loading, toast, toastError } from '../parts/basics';
import { Icon } from '../parts/icons';
import { ShareLink } from '../parts/share-link';
import { TimeField } from '../parts/time-field';
import { href, replace, route } from '../router';
import { cameraById, cameraName, cameras } from '../state/cameras';
import { atLeast } from '../state/session';
import { serverNow } from '../time/server-clock';
import { MINUTE } from '../time/zone';
import { clipName, fetchWithProgress, type Progress, save } from './clip-download';

const DEFAULT = 5 * MINUTE;
const LONGEST = 6 * 3600_000;

interface Choice {
  cams: string[];
  from: number;
  to: number;
  note: string;
}

function readChoice(): Choice {
  const q = route.value.query;
  const known = cameraById.value;
  const to = msOr(q.get('out')) ?? Math.floor(serverNow() / 1000) * 1000;
  return {
    cams: (q.get('cam') ?? '').split(',').filter((id) => known.has(id)),
    from: msOr(q.get('in')) ?? to - DEFAULT,
    to,
    note: q.get('note') ?? '',
  };
}

function writeChoice(c: Choice): void {
  replace(href(['clip'], { cam: c.cams.join(','), in: iso(c.from), out: iso(c.to), note: c.note }));
}

export function Preview({ camera, from, to }: { camera: string; from: number; to: number }) {
  const failed = useSignal('');
  const stream: StreamName = cameraById.value.get(camera)?.has_sub ? 'sub' : 'main';
  const url = api.clipUrl(camera, from, to, stream);
  useEffect(() => { failed.value = ''; }, [url]);
  return (
    <figure style="margin:0">
      <div class="draw">
        {failed.value ? <div class="tl-view center" style="position:absolute;inset:0">{failed.value}</div>
          : <video key={url} src={url} controls muted playsInline preload="metadata" aria-label={cameraName(camera)}
              onError={() => { failed.value = t('clip.nothing'); }} />}
      </div>
      <figcaption style="padding:6px 2px">{cameraName(camera)}</figcaption>
    </figure>
  );
}

function Download({ choice }: { choice: Choice }) {
  const progress = useSignal<Record<string, Progress>>({});
  const busy = useSignal(false);
  const one = async (camera: string): Promise<void> => {
    const url = api.clipUrl(camera, choice.from, choice.to, 'main');
    const blob = await fetchWithProgress(url, (p) => { progress.value = { ...progress.value, [camera]: p }; });
    save(blob, clipName(camera, choice.from, choice.to, zone.value));
  };
  const all = async (): Promise<void> => {
    busy.value = true;
    progress.value = {};
    let done = 0;
    for (const camera of choice.cams)
      try {
        await one(camera);
        done++;
      } catch (error) {
        toast(`${cameraName(camera)}: ${errorText(error)}`, true);
      }
    if (choice.note && done > 0) save(new Blob([noteText(choice)], { type: 'text/plain' }), clipName('catatan', choice.from, choice.to, zone.value).replace('.mp4', '.txt'));
    busy.value = false;
  };
  const rows = Object.entries(progress.value);
  return (
    <div>
      <button type="button" class="btn primary" disabled={busy.value || choice.cams.length === 0 || choice.to <= choice.from} onClick={() => { all().catch(toastError); }}>
        <Icon name="download" />{t('clip.download', { n: choice.cams.length })}
      </button>
      <div role="status">
        {rows.map(([camera, p]) => (
          <div key={camera} style="margin-top:10px">
            <div class="row"><span class="grow">{cameraName(camera)}</span>
              <span class="dim num">{p.total ? `${bytes(p.got)} / ${bytes(p.total)}` : bytes(p.got)}</span></div>
            <div class="meter"><i style={{ width: `${p.total ? (p.got / p.total) * 100 : 100}%` }} /></div>
          </div>
        ))}
      </div>
    </div>
  );
}

function noteText(c: Choice): string {
  const z = zone.value;
  return `${c.note}\n\n${c.cams.map(cameraName).join(', ')}\n${z.full(c.from)} – ${z.full(c.to)}\n${iso(c.from)} – ${iso(c.to)}\n`;
}

export function ClipPage() {
  const list = cameras.value;
  if (list === null) return <Loading />;
  if (list.length === 0) return <Empty icon="clip" title={t('wall.none')} />;
  const c = readChoice();
  const set = (change: Partial<Choice>): void => writeChoice({ ...c, ...change });
  const toggle = (id: string): void => set({ cams: c.cams.includes(id) ? c.cams.filter((x) => x !== id) : [...c.cams, id] });
  const length = c.to - c.from;
  const wrong = length <= 0 ? t('clip.order') : length > LONGEST ? t('clip.tooLong') : '';
  return (
    <>
      <div class="bar"><h1 class="grow">{t('clip.title')}</h1>
        <a class="btn" aria-label={t('clip.onTimeline')} title={t('clip.onTimeline')} href={href(['timeline'], { cam: c.cams.slice(0, 4).join(','), t: iso(c.from), span: Math.max(60, Math.round(length / 500)), in: iso(c.from), out: iso(c.to) })}>
          <Icon name="timeline" /><span class="wide-only">{t('clip.onTimeline')}</span></a>
        <ShareLink label={t('clip.share')} />
      </div>
      <div class="content">
        <div class="split">
          <div>
            {wrong && <p class="form-error" role="alert">{wrong}</p>}
            {c.cams.length === 0 ? <Empty icon="clip" title={t('clip.choose')} />
              : !wrong && <div class="cards" style="grid-template-columns:repeat(auto-fit,minmax(260px,1fr))">
                {c.cams.slice(0, 4).map((id) => <Preview key={id} camera={id} from={c.from} to={c.to} />)}
              </div>}
            {c.cams.length > 4 && <p class="dim">{t('clip.morePreviews', { n: c.cams.length - 4 })}</p>}
          </div>
          <div>
            <section class="panel">
              <TimeField label={t('mark.in')} value={c.from} step={5} onChange={(from) => set({ from })} />
              <TimeField label={t('mark.out')} value={c.to} step={5} onChange={(to) => set({ to })} />
              <p class="dim num">{t('clip.length', { length: duration(length) })}</p>
              <Field label={t('clip.note')} hint={t('clip.noteHint')}>
                {(id) => <textarea id={id} rows={3} maxLength={500} value={c.note} onChange={(e) => set({ note: (e.currentTarget as HTMLTextAreaElement).value })} />}
              </Field>
              <Download choice={c} />
              <p style="margin:14px 0 0"><a class="btn" href={href(['incidents', 'new'], { cam: c.cams.join(','), in: iso(c.from), out: iso(c.to), note: c.note })}>
                <Icon name="folder" /><span>{t('clip.incident')}</span></a></p>
              {atLeast('admin') && <p style="margin:14px 0 0"><a class="btn danger" href={href(['erase'], { cam: c.cams[0] ?? '', in: iso(c.from), out: iso(c.to) })}>
                <Icon name="trash" /><span>{t('clip.erase')}</span></a></p>}
            </section>
            <fieldset class="panel" style="min-width:0">
              <legend class="sr">{t('admin.cameras')}</legend>
              <h2 aria-hidden="true">{t('admin.cameras')}</h2>
              {list.map((x) => (
                <label key={x.id} class="check"><input type="checkbox" checked={c.cams.includes(x.id)} onChange={() => toggle(x.id)} /><span class="ellipsis">{x.name}</span></label>
              ))}
            </fieldset>
          </div>
        </div>
      </div>
    </>
  );
}
