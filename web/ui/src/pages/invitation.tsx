/* invitation.tsx - what a person sees who was sent an invitation: choose a name and a password. */
import { useSignal } from '@preact/signals';
import { ApiError, ms } from '../api/client';
import { people } from '../api/people';
import { language, setLanguage, t, tCode, zone } from '../i18n';
import { errorText, Failed, Field, Loading } from '../parts/basics';
import { iconUrl } from '../parts/shell';
import { useLoad } from '../parts/use-load';
import { go, route } from '../router';
import { login, session } from '../state/session';

function Form({ token }: { token: string }) {
  const error = useSignal('');
  const busy = useSignal(false);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const [name, password] = [String(f.get('username')).trim(), String(f.get('password'))];
    error.value = '';
    if (password !== String(f.get('again'))) {
      error.value = t('password.different');
      return;
    }
    busy.value = true;
    try {
      await people.acceptInvitation(token, name, password);
      await login(name, password);
      go('#/live');
    } catch (failure) {
      error.value = failure instanceof ApiError && failure.code === 'conflict' ? t('invitation.taken') : errorText(failure);
      busy.value = false;
    }
  };
  return (
    <form onSubmit={(e) => void submit(e)}>
      <Field label={t('login.username')} hint={t('invitation.nameHint')}>{(id) => <input id={id} name="username" type="text" autocomplete="username" autocapitalize="none" spellcheck={false} maxLength={64} required />}</Field>
      <Field label={t('password.new')} hint={t('password.hint')}>{(id) => <input id={id} name="password" type="password" autocomplete="new-password" minLength={8} maxLength={256} required />}</Field>
      <Field label={t('password.again')}>{(id) => <input id={id} name="again" type="password" autocomplete="new-password" minLength={8} maxLength={256} required />}</Field>
      <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
      <button class="btn primary tall" disabled={busy.value}>{t('invitation.accept')}</button>
    </form>
  );
}

export function InvitationPage() {
  const token = route.value.path[1] ?? '';
  const { value, error, reload } = useLoad(token, () => people.lookInvitation(token));
  const offer = value.value;
  const gone = error.value instanceof ApiError && error.value.status >= 400 && error.value.status < 500;
  return (
    <main class="login">
      <div class="card-box">
        <div class="brand"><img src={iconUrl()} alt="" width="56" height="56" /><div><h1>Kentongan</h1><span class="dim">{t('app.tagline')}</span></div></div>
        {offer && session.value && <p class="notice warn rounded">{t('invitation.loggedIn', { name: session.value.username })}</p>}
        {!offer ? (gone ? <div role="alert"><h2>{t('invitation.gone')}</h2><p class="dim">{t('invitation.goneHint')}</p><a class="btn tall" href="#/live">{t('login.enter')}</a></div>
          : error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
          : <>
            <p>{t('invitation.offer', { role: tCode('role', offer.role) })}{offer.note && <><br /><strong>{offer.note}</strong></>}</p>
            <p class="dim num">{t('invitation.until', { time: zone.value.full(ms(offer.expires)) })}</p>
            <Form token={token} />
          </>}
        <div class="langs">
          {(['id', 'en'] as const).map((l) => (
            <button type="button" key={l} class="btn quiet" lang={l} aria-pressed={language.value === l} onClick={() => void setLanguage(l)}>{l === 'id' ? 'Bahasa Indonesia' : 'English'}</button>
          ))}
        </div>
      </div>
    </main>
  );
}
