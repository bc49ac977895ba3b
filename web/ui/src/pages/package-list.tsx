/* package-list.tsx - evidence packages in one line each, and the list of all. */
import { ms } from '../api/client';
import { type Export, type Incident, people } from '../api/people';
import { bytes, t, zone } from '../i18n';
import { Empty, Failed, Loading } from '../parts/basics';
import { JobBadge, JobProgress } from '../parts/job';
import { useLoad } from '../parts/use-load';
import { cameraName } from '../state/cameras';
import { watches } from '../state/session';
import { isBusy, isCopy } from './case-state';
import { CaseTabs } from './incidents';

/** The words that were given when it was asked for. */
export const wishOf = (item: Export): Record<string, string> => (item.request ?? {}) as Record<string, string>;

/** What of a copy is covered, and of which cameras it is. */
export function copyWords(item: Export): string {
  const w = (item.request ?? {}) as { masks?: unknown[]; cameras?: string[] };
  const n = w.masks?.length ?? 0;
  return [w.cameras?.map(cameraName).join(', '), n > 0 ? t('viewing.masked', { n }) : t('viewing.unmasked')].filter(Boolean).join(' · ');
}

export const exportName = (item: Export): string => item.name ?? t(isCopy(item) ? 'viewing.number' : 'package.number', { n: item.id });

export function PackageRow({ item, title }: { item: Export; title?: string | undefined }) {
  const w = wishOf(item);
  const copy = isCopy(item);
  const who = [w['officer'], w['agency']].filter(Boolean).join(', ');
  return (
    <a class="case" href={`#/packages/${item.id}`}>
      <span class="case-head"><strong class="anywhere">{exportName(item)}</strong><span class="badges">{copy && <span class="badge plain">{t('viewing.not')}</span>}<JobBadge state={item.state} what="package" /></span></span>
      {title && <span>{title}</span>}
      <span class="dim">{copy ? copyWords(item) : [who, w['letter'] && t('package.letterNo', { no: w['letter'] })].filter(Boolean).join(' · ') || t('package.noRequest')}</span>
      <span class="dim num">{zone.value.full(ms(item.created))}{item.size > 0 ? ` · ${bytes(item.size)}` : ''}</span>
      <JobProgress job={item} label={exportName(item)} in={copy ? 'share' : 'bytes'} />
    </a>
  );
}

async function ask(): Promise<{ packages: Export[]; incidents: Incident[] }> {
  const [packages, incidents] = await Promise.all([people.exports(), people.incidents()]);
  return { packages: packages.items, incidents: incidents.items };
}

export function PackageList() {
  const { value, error, reload } = useLoad('packages', ask, (v) => (v?.packages.some(isBusy) ? 1000 : 30_000));
  const titles = new Map(value.value?.incidents.map((i) => [i.id, i.title]));
  const all = value.value?.packages ?? [];
  const copies = all.filter(isCopy);
  const rows = (list: Export[]) => <div class="cases">{list.map((p) => <PackageRow key={p.id} item={p} title={titles.get(p.incident)} />)}</div>;
  return (
    <>
      <div class="bar"><h1 class="grow">{t('packages.title')}</h1></div>
      <div class="content">
        <CaseTabs here="packages" />
        {!value.value ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
          : all.length === 0
            ? <Empty icon="package" title={t('packages.none')}><p>{t(watches() ? 'packages.noneHint' : 'incidents.noneSharedHint')}</p></Empty>
            : <div class="narrow">
              {rows(all.filter((p) => !isCopy(p)))}
              {copies.length > 0 && <><h2 class="row">{t('viewing.title')}<span class="badge plain">{t('viewing.not')}</span></h2>{rows(copies)}</>}
            </div>}
      </div>
    </>
  );
}
