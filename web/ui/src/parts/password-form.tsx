/* password-form.tsx - replacing one's own password. */
import { useSignal } from '@preact/signals';
import { t } from '../i18n';
import { changePassword, refreshSession, session } from '../state/session';
import { errorText, Field, toast } from './basics';

export function PasswordForm({ onDone }: { onDone: () => void }) {
  const error = useSignal('');
  const busy = useSignal(false);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const form = e.currentTarget as HTMLFormElement;
    const f = new FormData(form);
    const next = String(f.get('next'));
    error.value = '';
    if (next !== String(f.get('again'))) {
      error.value = t('password.different');
      return;
    }
    busy.value = true;
    try {
      await changePassword(String(f.get('old')), next);
      toast(t('password.changed'));
      form.reset();
      await refreshSession();
      onDone();
    } catch (failure) {
      error.value = errorText(failure);
    } finally {
      busy.value = false;
    }
  };
  const input = (name: string, complete: string, least: number) => (id: string) =>
    <input id={id} name={name} type="password" autocomplete={complete} minLength={least} maxLength={256} required />;
  return (
    <form onSubmit={(e) => void submit(e)}>
      <input type="text" name="username" autocomplete="username" value={session.value?.username} class="hidden" readOnly />
      <Field label={t('password.old')}>{input('old', 'current-password', 1)}</Field>
      <Field label={t('password.new')} hint={t('password.hint')}>{input('next', 'new-password', 8)}</Field>
      <Field label={t('password.again')}>{input('again', 'new-password', 8)}</Field>
      <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
      <button class="btn primary tall" disabled={busy.value}>{t('password.save')}</button>
    </form>
  );
}
