/* neighbours.ts - the event before or after a moment. */
import { api, iso, ms, type EventItem } from '../api/client';
import { DAY, HOUR } from '../time/zone';
import { serverNow } from '../time/server-clock';

/* Events nearer than this to the play head are the one being looked at. */
const SAME = 1500;

export async function previousEvent(t: number, cameras: string[]): Promise<EventItem | null> {
  const list = await api.events({ camera: cameras.join(','), to: iso(t - SAME), limit: 20 });
  return list.items.find((e) => ms(e.start) < t - SAME) ?? null;
}

/** The list comes newest first, so look in windows that grow until one holds an event. */
export async function nextEvent(t: number, cameras: string[]): Promise<EventItem | null> {
  const now = serverNow();
  let from = t + SAME;
  for (const length of [HOUR, 12 * HOUR, 5 * DAY, 400 * DAY]) {
    if (from >= now) return null;
    const list = await api.events({ camera: cameras.join(','), from: iso(from), to: iso(Math.min(now, from + length)), limit: 1000 });
    const later = list.items.filter((e) => ms(e.start) > t + SAME);
    const first = later[later.length - 1];
    if (first) return first;
    from += length;
  }
  return null;
}
