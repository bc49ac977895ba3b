/* calendar.ts - months as the site's zone has them, and on which days something happened. */
import { api } from '../api/client';
import { DAY, HOUR, type Zone } from '../time/zone';
import { decodeHeat } from './data';

export interface Month {
  /** Start of each day, ms UTC. */
  days: number[];
  /** Start of the day after the last. */
  end: number;
  /** Empty places before the first, in weeks that start on Monday. */
  lead: number;
  /** Seven moments, Monday to Sunday, for their names. */
  weekdays: number[];
}

export interface DayActivity {
  recorded: boolean;
  /** 0..1, relative to the busiest day of the month. */
  activity: number;
}

const MONDAY = Date.UTC(2024, 0, 1, 12);

export function monthOf(t: number, zone: Zone): Month {
  const c = zone.civil(t);
  const count = new Date(Date.UTC(c.year, c.month, 0)).getUTCDate();
  const day = (n: number): number => zone.fromCivil({ year: c.year, month: c.month, day: n, hour: 0, minute: 0, second: 0 });
  const days = Array.from({ length: count }, (_, i) => day(i + 1));
  const last = days[count - 1]!;
  return {
    days,
    end: zone.startOfDay(last + DAY + 2 * HOUR),
    lead: (new Date(Date.UTC(c.year, c.month - 1, 1)).getUTCDay() + 6) % 7,
    weekdays: Array.from({ length: 7 }, (_, i) => MONDAY + i * DAY),
  };
}

export function shiftMonth(m: Month, by: number, zone: Zone): Month {
  return monthOf(by < 0 ? m.days[0]! - DAY : m.end + DAY, zone);
}

/** What is known of each day of M for CAMERAS (all when none are named). */
export async function activeDays(m: Month, cameras: string[]): Promise<DayActivity[]> {
  const a = await api.timeline(cameras.length ? cameras : null, m.days[0]!, m.end, m.days.length);
  const sums = m.days.map(() => 0);
  const recorded = m.days.map(() => false);
  for (const c of a.cameras) {
    decodeHeat(c.heat).forEach((v, i) => { if (i < sums.length) sums[i]! += v; });
    for (const s of c.spans)
      m.days.forEach((d, i) => {
        if (Date.parse(s.from) < (m.days[i + 1] ?? m.end) && Date.parse(s.to) > d) recorded[i] = true;
      });
  }
  const most = Math.max(1, ...sums);
  return m.days.map((_, i) => ({ recorded: recorded[i] ?? false, activity: sums[i]! / most }));
}
