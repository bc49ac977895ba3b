/*
 * client.ts - the HTTP interface, typed by docs/openapi.yaml (types.ts is generated from it).
 *
 * Failures are ApiError: status 0 means that the server could not be reached. A 401 anywhere
 * tells the session; the page underneath stays where it is.
 */
import { signal } from '@preact/signals';
import { learnServerTime } from '../time/server-clock';
import type { components, operations } from './types';

type Schemas = components['schemas'];
export type Camera = Schemas['Camera'];
export type CameraChange = operations['changeCamera']['requestBody']['content']['application/json'];
export type EventItem = Schemas['Event'];
export type Segment = Schemas['Segment'];
export type Session = Schemas['Session'];
export type System = Schemas['System'];
export type Ring = System['rings'][number];
export type TimelineAnswer = Schemas['Timeline'];
export type TimelineCamera = TimelineAnswer['cameras'][number];
export type User = Schemas['User'];
export type Role = Schemas['Role'];
export type Probe = Schemas['Probe'];
export type Found = operations['discoverCameras']['responses'][200]['content']['application/json']['items'][number];
export type Trial = Schemas['Trial'];
export type StreamName = 'main' | 'sub';

export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly retryAfter?: number) {
    super(message);
  }
}

/** False after a request found nobody there; true again at the next answer. */
export const serverReachable = signal(true);

let onUnauthorized: () => void = () => undefined;
export function whenUnauthorized(fn: () => void): void {
  onUnauthorized = fn;
}

let era = 0; // counts the sessions of this page: a 401 to a question of an earlier one says nothing about this one
export function sessionReplaced(): void {
  era++;
}

type Query = Record<string, string | number | boolean | undefined>;

export function apiUrl(path: string, query?: Query): string {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [k, v] of Object.entries(query ?? {})) if (v !== undefined && v !== '') url.searchParams.set(k, String(v));
  return url.href;
}

/** A path the server gave ("/api/v1/…"), as an address under wherever the app is served. */
export function serverUrl(path: string): string {
  return new URL(path.replace(/^\//, ''), document.baseURI).href;
}

export const iso = (ms: number): string => new Date(ms).toISOString();
export const ms = (text: string): number => Date.parse(text);
export const msOr = (text: string | null | undefined): number | null => (text ? Date.parse(text) : null);

export async function fetchChecked(url: string, init?: RequestInit): Promise<Response> {
  const asked = era;
  let response: Response;
  try {
    response = await fetch(url, { credentials: 'same-origin', ...init });
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    serverReachable.value = false;
    throw new ApiError(0, 'unreachable', 'the server cannot be reached');
  }
  serverReachable.value = true;
  const date = response.headers.get('date');
  if (date) learnServerTime(Date.parse(date));
  if (response.ok) return response;
  throw await problem(response, asked === era);
}

async function problem(response: Response, ours: boolean): Promise<ApiError> {
  let body: Partial<Schemas['Problem']> = {};
  try {
    body = (await response.json()) as Partial<Schemas['Problem']>;
  } catch {
    // A proxy's own page: the status must do.
  }
  if (response.status === 401 && ours) onUnauthorized();
  return new ApiError(response.status, body.code ?? `http-${response.status}`,
    body.detail ?? body.title ?? response.statusText, body.retry_after);
}

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await fetchChecked(apiUrl(path, query), signal ? { signal } : undefined);
  return (await response.json()) as T;
}

export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'Content-Type': 'application/json' };
  }
  const response = await fetchChecked(apiUrl(path), init);
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

export interface List<T> {
  items: T[];
  next: string | null;
}

export interface EventFilter {
  camera?: string;
  type?: string;
  rule?: string;
  from?: string;
  to?: string;
  seen?: boolean;
  limit?: number;
  cursor?: string;
}

const cam = (id: string): string => `cameras/${encodeURIComponent(id)}`;

export const api = {
  login: (username: string, password: string, code?: string) =>
    send<Session>('POST', 'session', { username, password, ...(code ? { code } : {}) }),
  whoAmI: () => get<Session>('session'),
  logout: () => send<void>('DELETE', 'session'),
  changePassword: (old: string, next: string) => send<void>('PUT', 'session/password', { old, new: next }),
  settings: () => get<Record<string, unknown>>('session/settings'),
  putSettings: (s: Record<string, unknown>) => send<void>('PUT', 'session/settings', s),

  cameras: () => get<List<Camera>>('cameras'),
  camera: (id: string) => get<Camera>(cam(id)),
  addCamera: (c: CameraChange) => send<Camera>('POST', 'cameras', c),
  changeCamera: (id: string, c: CameraChange) => send<Camera>('PATCH', cam(id), c),
  deleteCamera: (id: string) => send<void>('DELETE', cam(id)),
  testCamera: (body: { url: string; transport?: NonNullable<CameraChange['transport']>; camera?: string }) =>
    send<Probe>('POST', 'cameras/test', body),
  discover: (ask: { range?: string; user?: string; password?: string }) => send<{ items: Found[] }>('POST', 'cameras/discover', ask),
  snapshotUrl: (id: string, version: number) => apiUrl(`${cam(id)}/snapshot.jpg`, { v: version }),
  clipUrl: (id: string, from: number, to: number, stream: StreamName) =>
    apiUrl(`${cam(id)}/clip.mp4`, { from: iso(from), to: iso(to), stream }),
  playlistUrl: (id: string, from: number, to: number, stream: StreamName) =>
    apiUrl(`${cam(id)}/playlist.m3u8`, { from: iso(from), to: iso(to), stream }),
  keyframeUrl: (id: string, at: number, stream: StreamName) =>
    apiUrl(`${cam(id)}/keyframe.mp4`, { at: iso(at), stream }),
  segments: (id: string, from: number, to: number, stream: StreamName, signal?: AbortSignal) =>
    get<List<Segment>>(`${cam(id)}/segments`, { from: iso(from), to: iso(to), stream }, signal),
  activity: (id: string, from: number, to: number, cells: string, signal?: AbortSignal) =>
    get<{ items: { start: string; end: string; score: number }[] }>(
      `${cam(id)}/activity`, { from: iso(from), to: iso(to), cells }, signal),

  startTrial: (id: string, rules: Record<string, unknown> | null, from: number, to: number) =>
    send<Trial>('POST', `${cam(id)}/rules/trial`, { rules, from: iso(from), to: iso(to) }),
  trial: (id: string, skip: number) => get<Trial>(`${cam(id)}/rules/trial`, { skip }),
  cancelTrial: (id: string) => send<void>('DELETE', `${cam(id)}/rules/trial`),

  events: (f: EventFilter, signal?: AbortSignal) => get<List<EventItem>>('events', { ...f }, signal),
  event: (id: number) => get<EventItem>(`events/${id}`),
  setSeen: (id: number, seen: boolean) => send<EventItem>('PATCH', `events/${id}`, { seen }),
  markSeen: (ids: number[], seen: boolean) => send<void>('POST', 'events/seen', { ids, seen }),
  eventClipUrl: (id: number, stream: StreamName) => apiUrl(`events/${id}/clip.mp4`, { stream }),
  timeline: (cameras: string[] | null, from: number, to: number, buckets: number, signal?: AbortSignal) =>
    get<TimelineAnswer>('timeline', {
      camera: cameras?.join(','), from: iso(from), to: iso(to), buckets }, signal),

  system: () => get<System>('system'),
  logs: (limit: number) => get<{ items: { time: string; level: string; text: string }[] }>('logs', { limit }),
  users: () => get<List<User>>('users'),
  addUser: (u: { username: string; password: string; role: Role }) => send<User>('POST', 'users', u),
  changeUser: (name: string, u: { password?: string; role?: Role; disabled?: boolean; cameras?: string[] | null }) =>
    send<User>('PATCH', `users/${encodeURIComponent(name)}`, u),
  deleteUser: (name: string) => send<void>('DELETE', `users/${encodeURIComponent(name)}`),
};
