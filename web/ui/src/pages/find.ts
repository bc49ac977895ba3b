/* find.ts - what a search of the network found, as cameras that could be added. */
import type { CameraChange, Found } from '../api/client';
import { slug } from './camera-id';

export interface Candidate {
  key: string;
  address: string;
  name: string;
  hardware: string;
  main: string;                   // without user and password; empty: it did not tell
  sub: string;
  snapshot: string;
  state: NonNullable<Found['state']>;
  why: string;
  known: boolean;                 // a camera with this address is there already
}

/** "rtsp://user:***@192.168.1.11/s1" → "192.168.1.11/s1": what tells cameras apart. */
export function placeOf(url: string): string {
  const rest = url.replace(/^[a-z]+:\/\//i, '');
  const end = rest.search(/[/?#]/);
  const host = end < 0 ? rest : rest.slice(0, end);
  return host.slice(host.lastIndexOf('@') + 1).replace(/:554$/, '').toLowerCase() + (end < 0 ? '' : rest.slice(end));
}

/** One for each video source of each device. KNOWN: the addresses of cameras that are there. */
export function candidates(items: readonly Found[], known: readonly string[]): Candidate[] {
  const places = new Set(known.filter(Boolean).map(placeOf));
  return items.flatMap((f) => {
    const sources = f.suggested?.length ? f.suggested : [{ source: '', main: f.url ?? '', sub: f.sub ?? '' }];
    return sources.map((s, i): Candidate => ({
      key: `${f.address}/${s.source}/${i}`, address: f.address, hardware: f.hardware ?? '',
      name: (f.name || f.hardware || f.address) + (sources.length > 1 ? ` ${i + 1}` : ''),
      main: s.main, sub: s.sub, snapshot: i === 0 ? f.snapshot ?? '' : '',
      state: f.state ?? 'ready', why: f.why ?? '', known: places.has(placeOf(s.main)),
    }));
  });
}

/** URL with USER and PASSWORD in it. */
export function withLogin(url: string, user: string, password: string): string {
  if (!url || !user) return url;
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
  return url.replace('://', () => `://${login}`);
}

/** What POST /cameras is to be told; the snapshot takes the login of the stream. */
export function toCamera(c: Candidate, name: string, user: string, password: string, taken: ReadonlySet<string>): CameraChange & { id: string } {
  return {
    id: slug(name, taken), name, main: withLogin(c.main, user, password), sub: withLogin(c.sub, user, password), snapshot: c.snapshot,
  };
}
