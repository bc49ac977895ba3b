/* admin.tsx - cameras, system, users, log: which one the address says. */
import { t } from '../i18n';
import { route } from '../router';
import { atLeast } from '../state/session';
import { CameraForm, CameraList } from './admin-cameras';
import { LogPanel } from './admin-logs';
import { SystemPanel } from './admin-system';
import { UserPanel } from './admin-users';

const TABS = [
  { name: 'cameras', key: 'admin.cameras', admin: false },
  { name: 'system', key: 'admin.system', admin: false },
  { name: 'users', key: 'admin.users', admin: true },
  { name: 'logs', key: 'admin.logs', admin: true },
] as const;

function Panel({ tab, id }: { tab: string; id: string | undefined }) {
  if (tab === 'system') return <SystemPanel />;
  if (tab === 'users') return <UserPanel />;
  if (tab === 'logs') return <LogPanel />;
  return id !== undefined ? <CameraForm id={id} /> : <CameraList />;
}

export function AdminPage() {
  const [, tab = 'cameras', id] = route.value.path;
  return (
    <>
      <div class="bar"><h1>{t('admin.title')}</h1></div>
      <div class="content">
        <nav class="tabs" aria-label={t('admin.title')}>
          {TABS.filter((x) => !x.admin || atLeast('admin')).map((x) => (
            <a key={x.name} href={`#/admin/${x.name}`} aria-current={tab === x.name ? 'page' : undefined}>{t(x.key)}</a>
          ))}
        </nav>
        <Panel tab={tab} id={id} />
      </div>
    </>
  );
}
