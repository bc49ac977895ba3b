/* admin-users.tsx - who may come in, and as what. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, msOr, type Role, type User } from '../api/client';
import { t, tCode, zone } from '../i18n';
import { Dialog, errorText, Failed, Field, Loading, toast, toastError } from '../parts/basics';
import { Icon } from '../parts/icons';
import { cameras } from '../state/cameras';
import { session } from '../state/session';

const ROLES: Role[] = ['volunteer', 'police', 'head', 'admin'];

function RoleSelect({ id, name, value }: { id: string; name: string; value: Role }) {
  return (
    <select id={id} name={name} value={value}>
      {ROLES.map((r) => <option key={r} value={r}>{tCode('role', r)}</option>)}
    </select>
  );
}

function AddUser({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const error = useSignal('');
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    try {
      await api.addUser({ username: String(f.get('username')).trim(), password: String(f.get('password')), role: f.get('role') as Role });
      toast(t('users.added'));
      onDone();
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  return (
    <Dialog title={t('users.add')} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <Field label={t('login.username')}>{(id) => <input id={id} name="username" type="text" autocomplete="off" autocapitalize="none" maxLength={64} required />}</Field>
        <Field label={t('login.password')} hint={t('password.hint')}>{(id) => <input id={id} name="password" type="password" autocomplete="new-password" minLength={8} required />}</Field>
        <Field label={t('users.role')} hint={t('users.roleHint')}>{(id) => <RoleSelect id={id} name="role" value="volunteer" />}</Field>
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <button class="btn primary">{t('action.save')}</button>
      </form>
    </Dialog>
  );
}

function EditUser({ user, onDone, onClose }: { user: User; onDone: () => void; onClose: () => void }) {
  const error = useSignal('');
  const all = useSignal(user.cameras === null || user.cameras === undefined);
  const me = user.username === session.value?.username;
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const password = String(f.get('password') ?? '');
    try {
      await api.changeUser(user.username, {
        role: f.get('role') as Role, disabled: f.get('active') !== 'on' && !me,
        cameras: all.value ? null : f.getAll('camera').map(String), ...(password ? { password } : {}),
      });
      onDone();
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  const remove = (): void => {
    api.deleteUser(user.username).then(onDone, (failure: unknown) => { error.value = errorText(failure); });
  };
  return (
    <Dialog title={user.username} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <Field label={t('users.role')} hint={t('users.roleHint')}>{(id) => <RoleSelect id={id} name="role" value={user.role} />}</Field>
        <Field label={t('users.newPassword')} hint={t('password.hint')}>{(id) => <input id={id} name="password" type="password" autocomplete="new-password" minLength={8} />}</Field>
        {!me && <label class="check"><input type="checkbox" name="active" defaultChecked={!user.disabled} />{t('users.active')}</label>}
        <label class="check"><input type="checkbox" checked={all.value} onChange={() => { all.value = !all.value; }} />{t('users.allCameras')}</label>
        {!all.value && <fieldset style="border:0;margin:0;padding:0 0 0 26px;max-height:30vh;overflow-y:auto">
          <legend class="sr">{t('admin.cameras')}</legend>
          {(cameras.value ?? []).map((c) => <label key={c.id} class="check"><input type="checkbox" name="camera" value={c.id} defaultChecked={user.cameras?.includes(c.id) ?? false} />{c.name}</label>)}
        </fieldset>}
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <div class="row"><button class="btn primary">{t('action.save')}</button><span class="grow" />
          {!me && <button type="button" class="btn danger" onClick={remove}><Icon name="trash" />{t('action.delete')}</button>}</div>
      </form>
    </Dialog>
  );
}

export function UserPanel() {
  const users = useSignal<User[] | null>(null);
  const error = useSignal<unknown>(null);
  const adding = useSignal(false);
  const editing = useSignal<User | null>(null);
  const load = (): void => {
    api.users().then((a) => { users.value = a.items; error.value = null; }, (e: unknown) => { error.value = e; });
  };
  useEffect(load, []);
  const done = (): void => {
    adding.value = false;
    editing.value = null;
    try { load(); } catch (e) { toastError(e); }
  };
  if (error.value) return <Failed error={error.value} retry={load} />;
  if (!users.value) return <Loading />;
  return (
    <>
      <div class="row" style="margin-bottom:12px"><button type="button" class="btn primary" onClick={() => { adding.value = true; }}><Icon name="plus" />{t('users.add')}</button></div>
      <div class="menu-list">
        {users.value.map((u) => {
          const last = msOr(u.last_login);
          return (
            <button key={u.username} type="button" onClick={() => { editing.value = u; }}>
              <Icon name="users" />
              <span class="grow"><strong>{u.username}</strong>{u.disabled && <span class="badge plain" style="margin-left:8px">{t('users.disabled')}</span>}
                <br /><span class="dim">{tCode('role', u.role)} · {last ? t('users.last', { time: zone.value.full(last) }) : t('users.never')}</span></span>
              <Icon name="edit" size={18} />
            </button>
          );
        })}
      </div>
      {adding.value && <AddUser onDone={done} onClose={() => { adding.value = false; }} />}
      {editing.value && <EditUser key={editing.value.username} user={editing.value} onDone={done} onClose={() => { editing.value = null; }} />}
    </>
  );
}
