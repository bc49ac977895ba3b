/* account.tsx - one's own account: password, code of the telephone, where one is logged in. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ms } from '../api/client';
import { type LoginSession, people } from '../api/people';
import { duration, t, tCode, zone } from '../i18n';
import { Dialog, errorText, Failed, Field, Loading, toast } from '../parts/basics';
import { Confirm } from '../parts/confirm';
import { CopyText } from '../parts/copy-text';
import { Icon } from '../parts/icons';
import { PasswordForm } from '../parts/password-form';
import { Qr } from '../parts/qr';
import { useLoad } from '../parts/use-load';
import { refreshSession, session, sessionEnded } from '../state/session';
import { serverNow } from '../time/server-clock';
import { device } from './device-words';

function TotpSetup({ onClose }: { onClose: () => void }) {
  const secret = useSignal<{ secret: string; uri: string } | null>(null);
  const error = useSignal('');
  useEffect(() => {
    people.beginTotp().then((s) => { secret.value = s; }, (failure: unknown) => { error.value = errorText(failure); });
  }, []);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    error.value = '';
    try {
      await people.confirmTotp(String(new FormData(e.currentTarget as HTMLFormElement).get('code')).replaceAll(' ', ''));
      await refreshSession();
      toast(t('totp.nowOn'));
      onClose();
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  const s = secret.value;
  return (
    <Dialog title={t('totp.setUp')} onClose={onClose}>
      {!s ? (error.value ? <p class="form-error" role="alert">{error.value}</p> : <Loading />) : (
        <form onSubmit={(e) => void submit(e)}>
          <ol class="how-to">
            <li>{t('totp.scan')}
              <div class="link-show"><Qr text={s.uri} label={t('totp.qr')} /><div><span class="dim">{t('totp.byHand')}</span><CopyText text={s.secret.replace(/(.{4})(?=.)/g, '$1 ')} /></div></div></li>
            <li>{t('totp.type')}</li>
          </ol>
          <Field label={t('login.code')}>{(id) => <input id={id} class="num code-input" name="code" type="text" inputMode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,7}" maxLength={7} required />}</Field>
          <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
          <div class="row end"><button type="button" class="btn tall" onClick={onClose}>{t('action.cancel')}</button><button class="btn primary tall">{t('totp.turnOn')}</button></div>
        </form>
      )}
    </Dialog>
  );
}

function TotpOff({ onClose }: { onClose: () => void }) {
  const error = useSignal('');
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    error.value = '';
    try {
      await people.dropOwnTotp(String(new FormData(e.currentTarget as HTMLFormElement).get('password')));
      await refreshSession();
      toast(t('totp.nowOff'));
      onClose();
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  return (
    <Dialog title={t('totp.turnOff')} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <p>{t('totp.offText')}</p>
        <Field label={t('login.password')}>{(id) => <input id={id} name="password" type="password" autocomplete="current-password" required />}</Field>
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <div class="row end"><button type="button" class="btn tall" onClick={onClose}>{t('action.cancel')}</button><button class="btn danger tall">{t('totp.turnOff')}</button></div>
      </form>
    </Dialog>
  );
}

function Totp() {
  const open = useSignal(false);
  const on = session.value?.totp === true;
  return (
    <section class="panel">
      <div class="row head"><h2 class="grow">{t('totp.title')}</h2><span class={`badge ${on ? 'ok' : 'plain'}`}>{on && <i class="dot" />}{on ? t('totp.on') : t('totp.off')}</span></div>
      <p class="dim">{t('totp.what')}</p>
      <button type="button" class="btn tall" onClick={() => { open.value = true; }}><Icon name="key" />{on ? t('totp.turnOff') : t('totp.setUp')}</button>
      {open.value && (on ? <TotpOff onClose={() => { open.value = false; }} /> : <TotpSetup onClose={() => { open.value = false; }} />)}
    </section>
  );
}

function SessionRow({ item, onEnded }: { item: LoginSession; onEnded: () => void }) {
  const asking = useSignal(false);
  const seen = serverNow() - ms(item.seen);
  const { browser, system } = device(item.agent);
  const name = browser && system ? t('sessions.device', { browser, system }) : browser || system || t(item.current ? 'sessions.this' : 'sessions.other');
  return (
    <li class="row">
      <span class="grow"><strong>{name}</strong><br />
        <span class="dim num">{t('sessions.since', { time: zone.value.full(ms(item.created)) })} · {seen < 120_000 ? t('sessions.now') : t('sessions.used', { age: duration(seen) })}{item.address && <> · {t('sessions.from', { address: item.address })}</>}</span></span>
      {item.current ? <span class="badge ok">{t('sessions.here')}</span>
        : <button type="button" class="btn tall" onClick={() => { asking.value = true; }}>{t('sessions.end')}</button>}
      {asking.value && <Confirm title={t('sessions.endTitle')} action={t('sessions.end')} onClose={() => { asking.value = false; }}
        onYes={() => people.endSession(item.id).then(onEnded)}><p><strong>{name}</strong></p><p>{t('sessions.endText')}</p></Confirm>}
    </li>
  );
}

function Sessions() {
  const { value, error, reload } = useLoad('sessions', () => people.sessions());
  const asking = useSignal(false);
  const list = value.value?.items;
  return (
    <section class="panel">
      <h2>{t('sessions.title')}</h2>
      {!list ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
        : <ul class="plain-list">{list.map((s) => <SessionRow key={s.id} item={s} onEnded={reload} />)}</ul>}
      <button type="button" class="btn danger tall" onClick={() => { asking.value = true; }}><Icon name="logout" />{t('sessions.everywhere')}</button>
      {asking.value && <Confirm title={t('sessions.everywhere')} action={t('more.logout')} onClose={() => { asking.value = false; }}
        onYes={() => people.logoutEverywhere().then(sessionEnded)}><p>{t('sessions.everywhereText')}</p></Confirm>}
    </section>
  );
}

export function AccountPage() {
  const who = session.value;
  return (
    <>
      <div class="bar"><a class="btn quiet icon-only" href="#/more" aria-label={t('action.back')} title={t('action.back')}><Icon name="back" /></a><h1 class="grow">{t('account.title')}</h1></div>
      <div class="content">
        <div class="narrow">
          <p class="who"><strong>{who?.username}</strong> <span class="badge plain">{tCode('role', who?.role ?? '')}</span></p>
          <Totp />
          <section class="panel"><h2>{t('password.title')}</h2><PasswordForm onDone={() => undefined} /></section>
          <Sessions />
        </div>
      </div>
    </>
  );
}
