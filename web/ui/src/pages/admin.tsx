/* admin.tsx - cameras, system, users, log: which one the address says. */
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n';
import { Empty } from '../parts/basics';
import { route } from '../router';
import { atLeast, watches } from '../state/session';
import { AuditPanel } from './admin-audit';
import { CameraForm, CameraList } from './admin-cameras';
import { FindCameras } from './admin-find';
import { LogPanel } from './admin-logs';
import { SystemPanel } from './admin-system';
import { UserPanel } from './admin-users';

const TABS = [
  { name: 'cameras', key: 'admin.cameras', may: watches },
  { name: 'system', key: 'admin.system', may: watches },
  { name: 'users', key: 'admin.users', may: (): boolean => atLeast('head') },
  { name: 'audit', key: 'admin.audit', may: (): boolean => atLeast('head') },
  { name: 'logs', key: 'admin.logs', may: (): boolean => atLeast('admin') },
] as const;

function Panel({ tab, id }: { tab: string; id: string | undefined }) {
  if (tab === 'system') return <SystemPanel />;
  if (tab === 'users') return <UserPanel />;
  if (tab === 'audit') return <AuditPanel />;
  if (tab === 'logs') return <LogPanel />;
  if (id === 'find') return <FindCameras />;
  return id !== undefined ? <CameraForm id={id} /> : <CameraList />;
}

export function AdminPage() {
  const [, tab = 'cameras', id] = route.value.path;
  const tabs = useRef<HTMLElement>(null);
  useEffect(() => { // on a phone not all fit: the one that is open is in sight
    tabs.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [tab]);
  return (
    <>
      <div class="bar"><h1>{t('admin.title')}</h1></div>
      <div class="content">
        <nav ref={tabs} class="tabs" aria-label={t('admin.title')}>
          {TABS.filter((x) => x.may()).map((x) => (
            <a key={x.name} href={`#/admin/${x.name}`} aria-current={tab === x.name ? 'page' : undefined}>{t(x.key)}</a>
          ))}
        </nav>
        {TABS.some((x) => x.name === tab && x.may()) ? <Panel tab={tab} id={id} /> : <Empty icon="lock" title={t('error.forbidden')} />}
      </div>
    </>
  );
}
