/* packages.tsx - one evidence package: how far it is, taking it away, checking it, links to it. */
import { useSignal } from '@preact/signals';
import { ms } from '../api/client';
import { type Export, type ExportWish, type Incident, people } from '../api/people';
import { bytes, t, zone } from '../i18n';
import { Loading, toastError } from '../parts/basics';
import { Confirm } from '../parts/confirm';
import { CopyText } from '../parts/copy-text';
import { Icon } from '../parts/icons';
import { JobBadge, JobProgress } from '../parts/job';
import { useLoad } from '../parts/use-load';
import { go, route } from '../router';
import { atLeast } from '../state/session';
import { grouped, isBusy, isCopy } from './case-state';
import { copyWords, exportName, PackageList, wishOf } from './package-list';
import { Absent } from './incidents';
import { Shares } from './shares';

const WISHES = ['officer', 'officer_id', 'agency', 'letter', 'letter_date', 'report', 'purpose'] as const;

interface Answer {
  item: Export;
  incident: Incident;
}

const ask = (id: number) => async (): Promise<Answer> => {
  const item = await people.export(id);
  return { item, incident: await people.incident(item.incident) };
};

/** Ask for the same once more: after a cancelled or failed one. */
async function again(item: Export): Promise<void> {
  const made = await people.addExport({ ...wishOf(item), incident: item.incident } as ExportWish);
  go(`#/packages/${made.id}`);
}

function State({ item, onChanged }: { item: Export; onChanged: () => void }) {
  const asking = useSignal(false);
  const head = atLeast('head');
  const copy = isCopy(item);
  return (
    <section class="panel">
      {copy && <p class="notice warn rounded"><Icon name="warning" size={18} /> {t('viewing.notText')}</p>}
      <div class="row head"><h2 class="grow">{t('package.state')}</h2><JobBadge state={item.state} what="package" /></div>
      {item.state === 'waiting' && <p class="dim">{t('package.waits')}</p>}
      {item.state === 'cancelled' && <p class="dim">{t('package.wasCancelled')}</p>}
      <JobProgress job={item} label={exportName(item)} in={copy ? 'share' : 'bytes'} />
      {item.state === 'done' && <>
        <div class="actions">
          <a class="btn primary tall" href={people.packageUrl(item.id)} download={`${item.name}.zip`}><Icon name="download" />{t(copy ? 'viewing.download' : 'package.download', { size: bytes(item.size) })}</a>
          {!copy && <a class="btn tall" href={people.paperUrl(item.id)} target="_blank" rel="noopener"><Icon name="print" />{t('package.paper')}</a>}
        </div>
        <p class="dim" style="margin:10px 0 0">{t(copy ? 'viewing.inside' : 'package.paperHint')}</p>
      </>}
      {head && <div class="row" style="margin-top:12px">
        {isBusy(item) && <button type="button" class="btn tall" onClick={() => { asking.value = true; }}><Icon name="close" />{t('package.cancel')}</button>}
        {(item.state === 'failed' || item.state === 'cancelled') && <button type="button" class="btn primary tall" onClick={() => { again(item).catch(toastError); }}><Icon name={copy ? 'eye' : 'package'} />{t('package.again')}</button>}
        {item.state === 'done' && <button type="button" class="btn danger tall" onClick={() => { asking.value = true; }}><Icon name="trash" />{t('package.withdraw')}</button>}
      </div>}
      {asking.value && (
        <Confirm title={isBusy(item) ? t(copy ? 'viewing.cancelTitle' : 'package.cancelTitle') : t(copy ? 'viewing.withdrawTitle' : 'package.withdrawTitle')} action={isBusy(item) ? t('package.cancel') : t('package.withdraw')}
          onYes={() => people.cancelExport(item.id).then(onChanged)} onClose={() => { asking.value = false; }}>
          <p>{isBusy(item) ? t('package.cancelText') : t('package.withdrawText')}</p>
        </Confirm>
      )}
    </section>
  );
}

function Facts({ item, incident }: Answer) {
  const w = wishOf(item);
  return (
    <section class="panel">
      <h2>{t('package.facts')}</h2>
      <dl class="kv num">
        <dt>{t('package.incident')}</dt><dd><a href={`#/incidents/${incident.id}`}>{incident.title}</a></dd>
        {isCopy(item) && <><dt>{t('viewing.title')}</dt><dd>{copyWords(item)}</dd></>}
        {WISHES.map((name) => w[name] && <><dt>{t(`package.${name}`)}</dt><dd>{w[name]}</dd></>)}
        <dt>{t('package.madeBy')}</dt><dd>{item.created_by}, {zone.value.full(ms(item.created))}</dd>
        {item.finished && <><dt>{t('package.finished')}</dt><dd>{zone.value.full(ms(item.finished))}</dd></>}
      </dl>
    </section>
  );
}

/** How anybody checks the package, with the commands of the page that comes with it. */
function Checking({ item }: { item: Export }) {
  const windows = 'certutil -hashfile manifest.json SHA256';
  const linux = 'sha256sum -c --strict SHA256SUMS';
  const signature = 'openssl dgst -sha256 -verify signer-pub.pem -signature SHA256SUMS.sig SHA256SUMS';
  const own = `kentongan verify --manifest ${item.manifest_sha256} ${item.name}.zip`;
  return (
    <section class="panel">
      <h2><Icon name="shield" size={20} /> {t('check.title')}</h2>
      <p>{t('check.paper')}</p>
      <div class="finger num" aria-label={t('check.manifest')}>{grouped(item.manifest_sha256 ?? '')}</div>
      <details class="how">
        <summary>{t('check.how')}</summary>
        <p class="dim">{t('check.readme')}</p>
        <h3>Windows</h3><CopyText text={windows} />
        <p class="dim">{t('check.windows')}</p>
        <h3>Linux, macOS</h3><CopyText text={linux} /><CopyText text={signature} />
        <h3>Kentongan</h3><CopyText text={own} />
      </details>
    </section>
  );
}

const active = (a: Answer | null): number => (a && isBusy(a.item) ? 700 : 30_000);

function PackageDetail({ id }: { id: number }) {
  const { value, error, reload } = useLoad(String(id), ask(id), active);
  if (!value.value) return error.value ? <Absent here="packages" error={error.value} retry={reload} /> : <Loading />;
  const { item, incident } = value.value;
  return (
    <>
      <div class="bar"><a class="btn quiet icon-only" href={`#/incidents/${incident.id}`} aria-label={t('action.back')} title={t('action.back')}><Icon name="back" /></a>
        <h1 class="grow wrap anywhere">{exportName(item)}</h1></div>
      <div class="content">
        <div class="split wide">
          <div>
            <State item={item} onChanged={reload} />
            {item.state === 'done' && atLeast('head') && <Shares item={item} />}
          </div>
          <div>
            <Facts item={item} incident={incident} />
            {item.state === 'done' && !isCopy(item) && <Checking item={item} />}
          </div>
        </div>
      </div>
    </>
  );
}

export function PackagesPage() {
  const id = route.value.path[1];
  return id === undefined ? <PackageList /> : <PackageDetail id={Number(id)} />;
}
