/* event-groups.ts - events by day, and what a night came to. No DOM here. */
import type { EventItem } from '../api/client';
import { DAY, HOUR, type Zone } from '../time/zone';

export interface DayGroup {
  /** Start of the day, ms UTC. */
  day: number;
  items: EventItem[];
}

/** ITEMS, newest first, as days of the site's zone, newest first. */
export function groupByDay(items: readonly EventItem[], zone: Zone): DayGroup[] {
  const groups: DayGroup[] = [];
  for (const e of items) {
    const day = zone.startOfDay(Date.parse(e.start));
    const last = groups[groups.length - 1];
    if (last?.day === day) last.items.push(e);
    else groups.push({ day, items: [e] });
  }
  return groups;
}

/**
 * The watch's night, 18:00 to 06:00: the one that is on, or, by day, the one that was last.
 */
export function nightOf(now: number, zone: Zone): { from: number; to: number } {
  const today = zone.startOfDay(now);
  const evening = zone.fromCivil({ ...zone.civil(today), hour: 18 });
  if (now >= evening) return { from: evening, to: zone.startOfDay(today + DAY + HOUR) + 6 * HOUR };
  return { from: evening - DAY, to: today + 6 * HOUR };
}

export interface NightSummary {
  total: number;
  unseen: number;
  /** Events that tell of trouble with a camera. */
  trouble: number;
  busiest: string | null;
}

export function summarise(items: readonly EventItem[]): NightSummary {
  const byCamera = new Map<string, number>();
  let trouble = 0;
  let unseen = 0;
  for (const e of items) {
    if (!e.seen) unseen++;
    if (e.type.startsWith('camera-')) trouble++;
    else byCamera.set(e.camera, (byCamera.get(e.camera) ?? 0) + 1);
  }
  const busiest = [...byCamera].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
  return { total: items.length, unseen, trouble, busiest };
}
