/* admin-users.tsx - who may come in, and as what. */
import { useSignal } from '@preact/signals';
import { api, msOr, type Role, type User } from '../api/client';
import { people } from '../api/people';
import { t, tCode, zone } from '../i18n';
import { Dialog, errorText, Failed, Field, Loading, toast, toastError } from '../parts/basics';
import { Confirm } from '../parts/confirm';
import { Icon } from '../parts/icons';
import { useLoad } from '../parts/use-load';
import { cameras } from '../state/cameras';
import { atLeast, session } from '../state/session';
import { hours } from './audit-words';
import { Invitations } from './invitations';

/** What this person may make of others: heads make no administrators. */
export const rolesToGive = (): Role[] => (atLeast('admin') ? ['volunteer', 'police', 'head', 'admin'] : ['volunteer', 'police', 'head']);

export function RoleSelect({ id, value, onChange }: { id: string; value: Role; onChange: (r: Role) => void }) {
  return (
    <select id={id} value={value} onChange={(e) => onChange((e.currentTarget as HTMLSelectElement).value as Role)}>
      {rolesToGive().map((r) => <option key={r} value={r} selected={r === value}>{tCode('role', r)}</option>)}
    </select>
  );
}

/** All cameras, or some of them. Null: all. */
export function CameraRights({ value, onChange }: { value: string[] | null; onChange: (v: string[] | null) => void }) {
  const list = cameras.value ?? [];
  return (
    <fieldset class="rights">
      <legend>{t('users.whichCameras')}</legend>
      <label class="check"><input type="checkbox" checked={value === null} onChange={() => onChange(value === null ? [] : null)} />{t('users.allCameras')}</label>
      {value !== null && <div class="check-list">
        {list.map((c) => <label key={c.id} class="check"><input type="checkbox" checked={value.includes(c.id)}
          onChange={() => onChange(value.includes(c.id) ? value.filter((x) => x !== c.id) : [...value, c.id])} /><span class="ellipsis">{c.name}</span></label>)}
      </div>}
    </fieldset>
  );
}

function AddUser({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const error = useSignal('');
  const role = useSignal<Role>('volunteer');
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    try {
      await api.addUser({ username: String(f.get('username')).trim(), password: String(f.get('password')), role: role.value });
      toast(t('users.added'));
      onDone();
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  return (
    <Dialog title={t('users.add')} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <p class="dim">{t('users.addHint')}</p>
        <Field label={t('login.username')}>{(id) => <input id={id} name="username" type="text" autocomplete="off" autocapitalize="none" maxLength={64} required />}</Field>
        <Field label={t('login.password')} hint={t('password.hint')}>{(id) => <input id={id} name="password" type="password" autocomplete="new-password" minLength={8} required />}</Field>
        <Field label={t('users.role')} hint={tCode('roleIs', role.value)}>{(id) => <RoleSelect id={id} value={role.value} onChange={(r) => { role.value = r; }} />}</Field>
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <button class="btn primary tall">{t('action.save')}</button>
      </form>
    </Dialog>
  );
}

function EditUser({ user, onDone, onClose }: { user: User; onDone: () => void; onClose: () => void }) {
  const error = useSignal('');
  const role = useSignal<Role>(user.role);
  const rights = useSignal<string[] | null>(user.cameras ?? null);
  const removing = useSignal(false);
  const me = user.username === session.value?.username;
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const password = String(f.get('password') ?? '');
    try {
      await api.changeUser(user.username, {
        ...(me ? {} : { role: role.value, disabled: f.get('active') !== 'on' }), cameras: rights.value, ...(password ? { password } : {}),
      });
      toast(t('users.saved'));
      onDone();
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  const end = (): void => { people.endSessions(user.username).then(() => toast(t('users.ended', { name: user.username })), toastError); };
  const drop = (): void => { people.dropTotp(user.username).then(() => { toast(t('totp.nowOff')); onDone(); }, toastError); };
  if (removing.value) return (
    <Confirm title={t('users.deleteTitle', { name: user.username })} action={t('action.delete')} onClose={onDone} onYes={() => api.deleteUser(user.username)}>
      <p>{t('users.deleteText')}</p>
    </Confirm>
  );
  return (
    <Dialog title={user.username} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        {!me && <Field label={t('users.role')} hint={tCode('roleIs', role.value)}>{(id) => <RoleSelect id={id} value={role.value} onChange={(r) => { role.value = r; }} />}</Field>}
        {role.value !== 'police' && <CameraRights value={rights.value} onChange={(v) => { rights.value = v; }} />}
        {!me && <Field label={t('users.newPassword')} hint={t('password.hint')}>{(id) => <input id={id} name="password" type="password" autocomplete="new-password" minLength={8} />}</Field>}
        {!me && <label class="check"><input type="checkbox" name="active" defaultChecked={!user.disabled} />{t('users.active')}</label>}
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <button class="btn primary tall">{t('action.save')}</button>
      </form>
      <div class="row aside">
        <button type="button" class="btn tall" onClick={end}><Icon name="logout" />{t('sessions.everywhere')}</button>
        {user.totp && <button type="button" class="btn tall" onClick={drop}><Icon name="key" />{t('users.dropTotp')}</button>}
        {!me && <button type="button" class="btn danger tall" onClick={() => { removing.value = true; }}><Icon name="trash" />{t('action.delete')}</button>}
      </div>
    </Dialog>
  );
}

function UserRow({ user: u, onEdit }: { user: User; onEdit: () => void }) {
  const last = msOr(u.last_login);
  const may = atLeast('admin') || u.role !== 'admin';
  const inside = (
    <>
      <Icon name={u.role === 'police' ? 'shield' : 'users'} />
      <span class="grow"><strong>{u.username}</strong> <span class="badge plain">{tCode('role', u.role)}</span>{u.totp && <> <span class="badge ok">{t('totp.short')}</span></>}{u.disabled && <> <span class="badge warn">{t('users.disabled')}</span></>}
        <br /><span class="dim">{u.role === 'police' ? t('users.sharedOnly') : u.cameras ? t('users.someCameras', { n: u.cameras.length }) : t('users.allCameras')} · {last ? t('users.last', { time: zone.value.full(last) }) : t('users.never')}</span></span>
      {may && <Icon name="edit" size={18} />}
    </>
  );
  return may ? <button type="button" onClick={onEdit}>{inside}</button> : <div class="menu-row">{inside}</div>;
}

/** How far back volunteers may look: the head's decision. */
function Volunteers() {
  const { value } = useLoad('site', () => people.siteSettings());
  if (!value.value) return null;
  const now = value.value.volunteer_hours;
  const choices = [...new Set([24, 72, 168, 336, 720, now])].filter((n) => n > 0).sort((a, b) => a - b);
  const change = (e: Event): void => {
    people.putSiteSettings(Number((e.currentTarget as HTMLSelectElement).value)).then((s) => { value.value = s; toast(t('users.saved')); }, toastError);
  };
  return (
    <section class="panel">
      <h2>{t('users.volunteers')}</h2>
      <Field label={t('users.volunteerHours')} hint={t('users.volunteerHint')}>{(id) => (
        <select id={id} value={String(now)} onChange={change}>
          {now === 0 && <option value="0" selected>{t('users.onlyLive')}</option>}
          {choices.map((n) => <option key={n} value={n} selected={n === now}>{hours(n)}</option>)}
        </select>
      )}</Field>
    </section>
  );
}

export function UserPanel() {
  const { value, error, reload } = useLoad('users', () => api.users());
  const adding = useSignal(false);
  const editing = useSignal<User | null>(null);
  const done = (): void => {
    adding.value = false;
    editing.value = null;
    reload();
  };
  if (!value.value) return error.value ? <Failed error={error.value} retry={reload} /> : <Loading />;
  return (
    <div class="split wide">
      <div>
        <div class="menu-list full">
          {value.value.items.map((u) => <UserRow key={u.username} user={u} onEdit={() => { editing.value = u; }} />)}
        </div>
        <p style="margin:12px 0"><button type="button" class="btn tall" onClick={() => { adding.value = true; }}><Icon name="plus" />{t('users.add')}</button></p>
      </div>
      <div>
        <Invitations />
        <Volunteers />
      </div>
      {adding.value && <AddUser onDone={done} onClose={() => { adding.value = false; }} />}
      {editing.value && <EditUser key={editing.value.username} user={editing.value} onDone={done} onClose={() => { editing.value = null; }} />}
    </div>
  );
}
