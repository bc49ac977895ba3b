/* login.tsx - the way in, also after a session ended: the page underneath is where one returns. */
import { useState } from 'preact/hooks';
import { language, setLanguage, t } from '../i18n';
import { ApiError } from '../api/client';
import { errorText, Field } from '../parts/basics';
import { expired, login } from '../state/session';
import { iconUrl } from '../parts/shell';

export function LoginPage() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const [coded, setCoded] = useState(false); // the password was right, and a code is needed too
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    setBusy(true);
    setError('');
    try {
      await login(String(form.get('username')).trim(), String(form.get('password')), String(form.get('code') ?? '').trim());
    } catch (failure) {
      const first = failure instanceof ApiError && failure.code === 'code-needed' && !coded;
      if (first) setCoded(true);
      else setError(errorText(failure));
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form onSubmit={(e) => void submit(e)}>
        <div class="brand">
          <img src={iconUrl()} alt="" width="56" height="56" />
          <div>
            <h1>Kentongan</h1>
            <span class="dim">{t('app.tagline')}</span>
          </div>
        </div>
        {expired.value && <p role="status">{t('login.expired')}</p>}
        <Field label={t('login.username')}>
          {(id) => <input id={id} name="username" type="text" autocomplete="username" autocapitalize="none" required autofocus />}
        </Field>
        <Field label={t('login.password')}>
          {(id) => <input id={id} name="password" type="password" autocomplete="current-password" required />}
        </Field>
        {coded && (
          <Field label={t('login.code')} hint={t('login.codeHint')}>
            {(id) => <input id={id} name="code" type="text" inputMode="numeric" autocomplete="one-time-code" maxLength={8} required autofocus />}
          </Field>
        )}
        <div role="alert">{error && <p class="form-error">{error}</p>}</div>
        <button class="btn primary" disabled={busy}>{busy ? t('login.busy') : t('login.enter')}</button>
        <div class="langs">
          {(['id', 'en'] as const).map((l) => (
            <button type="button" key={l} class="btn quiet" lang={l} aria-pressed={language.value === l}
              onClick={() => void setLanguage(l)}>{l === 'id' ? 'Bahasa Indonesia' : 'English'}</button>
          ))}
        </div>
      </form>
    </main>
  );
}
