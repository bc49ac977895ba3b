/* people.ts - the part of the interface about people, incidents and evidence; comes with its pages. */
import { apiUrl, get, iso, type List, type Role, send, type Session } from './client';
import type { components, operations } from './types';

type Schemas = components['schemas'];
export type Incident = Schemas['Incident'];
export type IncidentDetail = Schemas['IncidentDetail'];
export type Hold = Schemas['Hold'];
export type Export = Schemas['Export'];
export type Share = Schemas['Share'];
export type AuditRow = Schemas['AuditRow'];
export type Invitation = Schemas['Invitation'];
export type LoginSession = Schemas['LoginSession'];
export type JobState = Schemas['JobState'];
export type IncidentChange = operations['changeIncident']['requestBody']['content']['application/json'];
export type ExportWish = operations['addExport']['requestBody']['content']['application/json'];
export type ShareWish = operations['addShare']['requestBody']['content']['application/json'];
export type InvitationWish = operations['invite']['requestBody']['content']['application/json'];
export type ShareUse = operations['shareLog']['responses']['200']['content']['application/json']['items'][number];
export type Vault = operations['listHolds']['responses']['200']['content']['application/json']['vault'];
export type AuditCheck = operations['verifyAudit']['responses']['200']['content']['application/json'];

export interface AuditFilter {
  who?: string;
  action?: string;
  object?: string;
  from?: string;
  to?: string;
  cursor?: string;
  limit?: number;
}

const user = (name: string): string => `users/${encodeURIComponent(name)}`;

export const people = {
  incidents: () => get<List<Incident>>('incidents'),
  incident: (id: number) => get<IncidentDetail>(`incidents/${id}`),
  addIncident: (c: IncidentChange) => send<IncidentDetail>('POST', 'incidents', c),
  changeIncident: (id: number, c: IncidentChange) => send<IncidentDetail>('PATCH', `incidents/${id}`, c),
  deleteIncident: (id: number) => send<void>('DELETE', `incidents/${id}`),
  markEvent: (id: number, event: number, marked: boolean) =>
    send<IncidentDetail>('POST', `incidents/${id}/events`, { event, marked }),
  shareWith: (id: number, username: string, on: boolean) =>
    send<IncidentDetail>('POST', `incidents/${id}/sharing`, { username, on }),
  hold: (id: number) => send<List<Hold>>('POST', `incidents/${id}/holds`, { stream: 'main' }),
  holds: () => get<List<Hold> & { vault: Vault }>('holds'),
  erase: (camera: string, from: number, to: number, reason: string) =>
    send<{ records: number; pictures: number }>('DELETE', `cameras/${encodeURIComponent(camera)}/recordings?from=${iso(from)}&to=${iso(to)}`, { reason }),
  release: (hold: number) => send<void>('DELETE', `holds/${hold}`),

  exports: (incident?: number) => get<List<Export>>('exports', { incident }),
  export: (id: number) => get<Export>(`exports/${id}`),
  addExport: (w: ExportWish) => send<Export>('POST', 'exports', w),
  cancelExport: (id: number) => send<void>('DELETE', `exports/${id}`),
  packageUrl: (id: number) => apiUrl(`exports/${id}/package.zip`),
  paperUrl: (id: number) => apiUrl(`exports/${id}/berita-acara.html`),

  shares: (id: number) => get<List<Share>>(`exports/${id}/shares`),
  addShare: (id: number, w: ShareWish) => send<Share>('POST', `exports/${id}/shares`, w),
  revokeShare: (id: number) => send<void>('DELETE', `shares/${id}`),
  shareLog: (id: number) => get<{ items: ShareUse[] }>(`shares/${id}/log`),

  beginTotp: () => send<{ secret: string; uri: string }>('POST', 'session/totp', {}),
  confirmTotp: (code: string) => send<void>('PUT', 'session/totp', { code }),
  dropOwnTotp: (password: string) => send<void>('DELETE', 'session/totp', { password }),
  sessions: () => get<List<LoginSession>>('session/all'),
  endSession: (id: string) => send<void>('DELETE', `session/all/${encodeURIComponent(id)}`),
  logoutEverywhere: () => send<void>('DELETE', 'session/all'),
  whoAmI: () => get<Session>('session'),

  endSessions: (name: string) => send<void>('DELETE', `${user(name)}/sessions`),
  dropTotp: (name: string) => send<void>('DELETE', `${user(name)}/totp`),
  invitations: () => get<List<Invitation>>('invitations'),
  invite: (w: InvitationWish) => send<{ token: string }>('POST', 'invitations', w),
  withdraw: (id: number) => send<void>('DELETE', `invitations/${id}`),
  lookInvitation: (token: string) => send<{ role: Role; note: string; expires: string }>('POST', 'invitation/look', { token }),
  acceptInvitation: (token: string, username: string, password: string) =>
    send<void>('POST', 'invitation/accept', { token, username, password }),

  audit: (f: AuditFilter, signal?: AbortSignal) => get<List<AuditRow>>('audit', { ...f }, signal),
  auditUrl: (f: AuditFilter) => apiUrl('audit.csv', { ...f }),
  verifyAudit: () => get<AuditCheck>('audit/verify'),
  siteSettings: () => get<{ volunteer_hours: number }>('settings'),
  putSiteSettings: (hours: number) => send<{ volunteer_hours: number }>('PUT', 'settings', { volunteer_hours: hours }),
};

export const span = (from: number, to: number): { from: string; to: string } => ({ from: iso(from), to: iso(to) });
