/* more.tsx - everything that is not watched all day: settings, administration, the way out. */
import { useSignal } from '@preact/signals';
import { language, setLanguage, t, tCode } from '../i18n';
import { Dialog, errorText, Field, toast, toastError } from '../parts/basics';
import { Icon, type IconName } from '../parts/icons';
import { api } from '../api/client';
import { atLeast, logout, session } from '../state/session';
import { setTheme, theme, type Theme } from '../state/theme';

const LINKS: { to: string; icon: IconName; key: 'admin.cameras' | 'admin.system' | 'admin.users' | 'admin.logs'; admin: boolean }[] = [
  { to: '#/admin/cameras', icon: 'camera', key: 'admin.cameras', admin: false },
  { to: '#/admin/system', icon: 'heart', key: 'admin.system', admin: false },
  { to: '#/admin/users', icon: 'users', key: 'admin.users', admin: true },
  { to: '#/admin/logs', icon: 'log', key: 'admin.logs', admin: true },
];

export function PasswordDialog({ onClose, why }: { onClose: () => void; why?: string }) {
  const error = useSignal('');
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    const next = String(form.get('next'));
    if (next !== String(form.get('again'))) {
      error.value = t('password.different');
      return;
    }
    try {
      await api.changePassword(String(form.get('old')), next);
      toast(t('password.changed'));
      onClose();
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  const input = (name: string, complete: string, least: number) => (id: string) =>
    <input id={id} name={name} type="password" autocomplete={complete} minLength={least} required />;
  return (
    <Dialog title={t('password.title')} onClose={onClose}>
      {why && <p>{why}</p>}
      <form onSubmit={(e) => void submit(e)}>
        <input type="text" name="username" autocomplete="username" value={session.value?.username} class="hidden" readOnly />
        <Field label={t('password.old')}>{input('old', 'current-password', 1)}</Field>
        <Field label={t('password.new')} hint={t('password.hint')}>{input('next', 'new-password', 8)}</Field>
        <Field label={t('password.again')}>{input('again', 'new-password', 8)}</Field>
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <button class="btn primary">{t('action.save')}</button>
      </form>
    </Dialog>
  );
}

export function MorePage() {
  const password = useSignal(false);
  const who = session.value;
  return (
    <>
      <div class="bar"><h1>{t('nav.more')}</h1></div>
      <div class="content">
        <nav class="menu-list" aria-label={t('nav.more')}>
          {LINKS.filter((l) => !l.admin || atLeast('admin')).map((l) => (
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
          <div class="row">
            <button type="button" class="btn" onClick={() => { password.value = true; }}><Icon name="lock" />{t('password.title')}</button>
            <button type="button" class="btn" onClick={() => { logout().catch(toastError); }}><Icon name="logout" />{t('more.logout')}</button>
          </div>
        </section>
        <p class="dim num">Kentongan {who?.version}</p>
      </div>
      {password.value && <PasswordDialog onClose={() => { password.value = false; }} />}
    </>
  );
}
