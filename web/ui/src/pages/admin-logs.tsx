/* admin-logs.tsx - the newest lines of the log. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, ms } from '../api/client';
import { t, zone } from '../i18n';
import { Empty, Failed, Field, Loading, useInterval } from '../parts/basics';
import { cameraName } from '../state/cameras';
import { serverNow } from '../time/server-clock';
import { logText } from './log-words';

interface Line {
  time: string;
  level: string;
  text: string;
}

const LEVELS = ['error', 'warning', 'info', 'debug'];

/** In the person's words first; the recorder's own line stays for whoever searches for it. */
function Text({ line }: { line: Line }) {
  const said = logText(line.text, cameraName);
  return said === null ? <>{line.text}</> : <>{said}<div class="dim raw" lang="en">{line.text}</div></>;
}

export function LogPanel() {
  const lines = useSignal<Line[] | null>(null);
  const error = useSignal<unknown>(null);
  const least = useSignal('info');
  const find = useSignal('');
  const load = (): void => {
    api.logs(1000).then((a) => { lines.value = a.items; error.value = null; }, (e: unknown) => { error.value = e; });
  };
  useEffect(load, []);
  useInterval(() => { if (!document.hidden) load(); }, 5000);
  if (!lines.value) return error.value ? <Failed error={error.value} retry={load} /> : <Loading />;
  const words = find.value.toLowerCase();
  const shown = lines.value.filter((l) => LEVELS.indexOf(l.level) <= LEVELS.indexOf(least.value) && 
    `${l.text} ${logText(l.text, cameraName) ?? ''}`.toLowerCase().includes(words)).reverse();
  return (
    <>
      <div class="row">
        <div class="grow"><Field label={t('logs.find')}>{(id) => <input id={id} type="search" value={find.value} onInput={(e) => { find.value = (e.currentTarget as HTMLInputElement).value; }} />}</Field></div>
        <Field label={t('logs.level')}>{(id) => (
          <select id={id} value={least.value} onChange={(e) => { least.value = (e.currentTarget as HTMLSelectElement).value; }}>
            {LEVELS.map((l) => <option key={l} value={l}>{t(`level.${l as 'error'}`)}</option>)}
          </select>
        )}</Field>
      </div>
      {shown.length === 0 ? <Empty icon="log" title={t('logs.none')} /> : (
        <div class="panel table-wrap" tabIndex={0} role="region" aria-label={t('admin.logs')}>
          <table class="list num lines"><tbody>
            {shown.slice(0, 500).map((l, i) => (
              <tr key={i}><td class="nowrap dim">{zone.value.relative(ms(l.time), serverNow())}</td>
                <td><span class={`badge ${l.level === 'error' ? 'bad' : l.level === 'warning' ? 'warn' : 'plain'}`}>{t(`level.${l.level as 'error'}`)}</span></td>
                <td style="width:100%;overflow-wrap:anywhere"><Text line={l} /></td></tr>
            ))}
          </tbody></table>
        </div>
      )}
    </>
  );
}
