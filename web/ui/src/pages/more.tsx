/* more.tsx - everything that is not watched all day: settings, administration, the way out. */
import { type Key, language, setLanguage, t, tCode } from '../i18n';
import { Field, toastError } from '../parts/basics';
import { Icon, type IconName } from '../parts/icons';
import { atLeast, logout, session, watches } from '../state/session';
import { setTheme, theme, type Theme } from '../state/theme';

interface Link {
  to: string;
  icon: IconName;
  key: Key;
  may: () => boolean;
}

const head = (): boolean => atLeast('head');
const admin = (): boolean => atLeast('admin');

const LINKS: Link[] = [
  { to: '#/admin/cameras', icon: 'camera', key: 'admin.cameras', may: watches },
  { to: '#/admin/system', icon: 'disk', key: 'admin.system', may: watches },
  { to: '#/admin/users', icon: 'users', key: 'admin.users', may: head },
  { to: '#/admin/audit', icon: 'shield', key: 'admin.audit', may: head },
  { to: '#/admin/logs', icon: 'log', key: 'admin.logs', may: admin },
  { to: '#/setup', icon: 'check', key: 'setup.title', may: admin },
  { to: '#/account', icon: 'key', key: 'account.title', may: () => true },
];

export function MorePage() {
  const who = session.value;
  return (
    <>
      <div class="bar"><h1>{t('nav.more')}</h1></div>
      <div class="content">
        <nav class="menu-list" aria-label={t('nav.more')}>
          {LINKS.filter((l) => l.may()).map((l) => (
            <a key={l.to} href={l.to}><Icon name={l.icon} /><span class="grow">{t(l.key)}</span><Icon name="forward" size={18} /></a>
          ))}
        </nav>
        <section class="panel" style="max-width:560px;margin-top:14px">
          <h2>{t('more.thisDevice')}</h2>
          <Field label={t('more.language')}>
            {(id) => (
              <select id={id} value={language.value} onChange={(e) => void setLanguage((e.currentTarget as HTMLSelectElement).value as 'id' | 'en')}>
                <option value="id" lang="id">Bahasa Indonesia</option>
                <option value="en" lang="en">English</option>
              </select>
            )}
          </Field>
          <Field label={t('more.theme')}>
            {(id) => (
              <select id={id} value={theme.value} onChange={(e) => setTheme((e.currentTarget as HTMLSelectElement).value as Theme)}>
                {(['auto', 'light', 'dark'] as const).map((x) => <option key={x} value={x}>{t(`theme.${x}`)}</option>)}
              </select>
            )}
          </Field>
        </section>
        <section class="panel" style="max-width:560px">
          <h2>{t('more.account')}</h2>
          <p>{who?.username} <span class="dim">({tCode('role', who?.role ?? '')})</span></p>
          <button type="button" class="btn tall" onClick={() => { logout().catch(toastError); }}><Icon name="logout" />{t('more.logout')}</button>
        </section>
        <p class="dim num">Kentongan {who?.version}</p>
      </div>
    </>
  );
}
