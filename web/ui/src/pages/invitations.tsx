/* invitations.tsx - one-time links by which people make their own accounts. */
import { useSignal } from '@preact/signals';
import { ms, msOr, type Role } from '../api/client';
import { type Invitation, people } from '../api/people';
import { t, tCode, zone } from '../i18n';
import { Dialog, errorText, Failed, Field, Loading, Tool } from '../parts/basics';
import { Confirm } from '../parts/confirm';
import { copyText, CopyText } from '../parts/copy-text';
import { Icon } from '../parts/icons';
import { Qr } from '../parts/qr';
import { useLoad } from '../parts/use-load';
import { href } from '../router';
import { serverNow } from '../time/server-clock';
import { CameraRights, RoleSelect } from './admin-users';

const DAYS = [1, 3, 7, 14, 30];

function Invite({ onMade, onClose }: { onMade: (token: string) => void; onClose: () => void }) {
  const error = useSignal('');
  const role = useSignal<Role>('volunteer');
  const rights = useSignal<string[] | null>(null);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    try {
      const made = await people.invite({ role: role.value, note: String(f.get('note')).trim(), days: Number(f.get('days')), cameras: role.value === 'police' ? null : rights.value });
      onMade(made.token);
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  return (
    <Dialog title={t('invite.make')} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <Field label={t('link.for')} hint={t('invite.forHint')}>{(id) => <input id={id} name="note" type="text" maxLength={120} required />}</Field>
        <Field label={t('users.role')} hint={tCode('roleIs', role.value)}>{(id) => <RoleSelect id={id} value={role.value} onChange={(r) => { role.value = r; }} />}</Field>
        {role.value !== 'police' && <CameraRights value={rights.value} onChange={(v) => { rights.value = v; }} />}
        <Field label={t('link.days')}>{(id) => <select id={id} name="days">{DAYS.map((n) => <option key={n} value={n} selected={n === 7}>{t('link.nDays', { n })}</option>)}</select>}</Field>
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <div class="row end"><button type="button" class="btn tall" onClick={onClose}>{t('action.cancel')}</button><button class="btn primary tall">{t('invite.make')}</button></div>
      </form>
    </Dialog>
  );
}

function ShowInvitation({ token, onClose }: { token: string; onClose: () => void }) {
  const url = new URL(href(['invitation', token]), document.baseURI).href;
  const send = (): void => {
    if (typeof navigator.share === 'function') navigator.share({ text: t('invite.message', { url }) }).catch(() => undefined);
    else void copyText(t('invite.message', { url }));
  };
  return (
    <Dialog title={t('invite.ready')} onClose={onClose}>
      <p class="notice warn rounded"><Icon name="warning" /><span>{t('invite.once')}</span></p>
      <CopyText text={url} label={t('link.copy')} />
      <div class="link-show"><Qr text={url} label={t('link.qr')} /><p class="dim">{t('invite.qrHint')}</p></div>
      <div class="row end"><button type="button" class="btn tall" onClick={send}><Icon name="share" />{t('link.send')}</button>
        <button type="button" class="btn primary tall" onClick={onClose}>{t('link.noted')}</button></div>
    </Dialog>
  );
}

function Row({ item, onChanged }: { item: Invitation; onChanged: () => void }) {
  const asking = useSignal(false);
  const used = msOr(item.used);
  const expired = used === null && ms(item.expires) <= serverNow();
  const state = used !== null ? t('invite.used', { name: item.used_by ?? '' }) : expired ? t('link.state.expired') : t('link.until', { time: zone.value.full(ms(item.expires)) });
  return (
    <li class="row"><span class="grow"><strong>{item.note || t('link.unnamed')}</strong> <span class="badge plain">{tCode('role', item.role)}</span><br /><span class="dim num">{state}</span></span>
      {used === null && <Tool icon="trash" quiet label={t('invite.withdrawOf', { note: item.note })} onClick={() => { asking.value = true; }} />}
      {asking.value && <Confirm title={t('invite.withdrawTitle')} action={t('invite.withdraw')} onClose={() => { asking.value = false; }} onYes={() => people.withdraw(item.id).then(onChanged)}>
        <p>{t('link.revokeText')}</p></Confirm>}
    </li>
  );
}

export function Invitations() {
  const { value, error, reload } = useLoad('invitations', () => people.invitations());
  const making = useSignal(false);
  const made = useSignal('');
  const list = value.value?.items;
  return (
    <section class="panel">
      <h2>{t('invite.title')}</h2>
      <p class="dim">{t('invite.what')}</p>
      {!list ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
        : list.length > 0 && <ul class="plain-list">{list.map((i) => <Row key={i.id} item={i} onChanged={reload} />)}</ul>}
      <button type="button" class="btn primary tall" onClick={() => { making.value = true; }}><Icon name="link" />{t('invite.make')}</button>
      {making.value && <Invite onClose={() => { making.value = false; }} onMade={(token) => { making.value = false; made.value = token; reload(); }} />}
      {made.value && <ShowInvitation token={made.value} onClose={() => { made.value = ''; }} />}
    </section>
  );
}
