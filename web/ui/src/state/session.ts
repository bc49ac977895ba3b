/* session.ts - who is logged in, and what that person keeps on the server. */
import { signal } from '@preact/signals';
import { api, ApiError, sessionReplaced, whenUnauthorized, type Role, type Session } from '../api/client';
import { language, setLanguage, storedLanguage, zoneName } from '../i18n';
import { live } from '../live/connection';
import { learnServerTime } from '../time/server-clock';

export type SessionState = 'unknown' | 'out' | 'in';

export const session = signal<Session | null>(null);
export const sessionState = signal<SessionState>('unknown');
/** True when a session ended while somebody was looking: say so, and come back to the same place. */
export const expired = signal(false);
export const settings = signal<Record<string, unknown>>({});

/** Police see what was shared with them and no cameras at all. */
export const watches = (): boolean => session.value !== null && session.value.role !== 'police';

const RANK: Record<Role, number> = { volunteer: 0, police: 1, head: 2, admin: 3 };
export const atLeast = (role: Role): boolean => RANK[session.value?.role ?? 'volunteer'] >= RANK[role];

let replacing = false; // between the old session and the new one, 401 says nothing

whenUnauthorized(() => {
  if (sessionState.value !== 'in' || replacing) return;
  expired.value = true;
  session.value = null;
  sessionState.value = 'out';
  live.stop();
});

const MARK = 'kt.entered';

/* Whether this browser may have a session: asking without one only fills the console with a 401. */
function mayHaveSession(): boolean {
  try {
    return localStorage.getItem(MARK) !== null;
  } catch {
    return true;
  }
}

function markSession(on: boolean): void {
  try {
    if (on) localStorage.setItem(MARK, '1');
    else localStorage.removeItem(MARK);
  } catch {
    // Then every start asks.
  }
}

async function entered(s: Session): Promise<void> {
  learnServerTime(Date.parse(s.time));
  zoneName.value = s.timezone;
  const wanted = storedLanguage() ?? s.language;
  if (wanted !== language.value) await setLanguage(wanted);
  try {
    settings.value = await api.settings();
  } catch {
    settings.value = {}; // only comfort lives there
  }
  markSession(true);
  sessionReplaced();
  session.value = s;
  expired.value = false;
  sessionState.value = 'in';
}

/** Ask the server whether the cookie is still good. Throws when nobody answers. */
export async function resume(): Promise<void> {
  if (!mayHaveSession()) {
    sessionState.value = 'out';
    return;
  }
  try {
    await entered(await api.whoAmI());
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    markSession(false);
    sessionState.value = 'out';
  }
}

export async function login(username: string, password: string, code?: string): Promise<void> {
  await entered(await api.login(username, password, code));
}

function left(): void {
  live.stop();
  markSession(false);
  session.value = null;
  sessionState.value = 'out';
}

export async function logout(): Promise<void> {
  live.stop();
  try {
    await api.logout();
  } finally {
    left();
  }
}

/** Replace the password: all sessions end, and this browser gets a new one with the answer. */
export async function changePassword(old: string, next: string): Promise<void> {
  replacing = true;
  try {
    await api.changePassword(old, next);
  } finally {
    replacing = false;
    sessionReplaced(); // what was asked with the old one may be answered yet
  }
}

/** Ask again who this is: the password or the second factor changed. */
export async function refreshSession(): Promise<void> {
  session.value = await api.whoAmI();
}

/** This session was ended on purpose, with others: no word about one that expired. */
export function sessionEnded(): void {
  left();
  expired.value = false;
}

let saving: ReturnType<typeof setTimeout> | null = null;

export function setting<T>(key: string, fallback: T): T {
  return (settings.value[key] as T | undefined) ?? fallback;
}

/** Remember KEY for this user; written shortly after the last change. */
export function saveSetting(key: string, value: unknown): void {
  settings.value = { ...settings.value, [key]: value };
  if (saving) clearTimeout(saving);
  saving = setTimeout(() => {
    saving = null;
    void api.putSettings(settings.peek()).catch(() => undefined);
  }, 800);
}
