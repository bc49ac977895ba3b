/*
 * zone.ts - times as people at the site see them. Everything inside the app is milliseconds
 * UTC; only here is a zone applied, and only the site's, wherever the phone is.
 */

const LABELS: Record<string, string> = {
  'Asia/Jakarta': 'WIB', 'Asia/Pontianak': 'WIB', 'Asia/Makassar': 'WITA', 'Asia/Ujung_Pandang': 'WITA',
  'Asia/Jayapura': 'WIT',
};

export interface CivilTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

export class Zone {
  readonly label: string;
  readonly locale: string;
  private readonly parts: Intl.DateTimeFormat;
  private readonly cache = new Map<string, Intl.DateTimeFormat>();

  constructor(readonly name: string, language: string) {
    this.locale = language === 'en' ? 'en-GB' : 'id-ID';
    this.parts = new Intl.DateTimeFormat('en-US', {
      timeZone: name, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
      hour: 'numeric', minute: 'numeric', second: 'numeric',
    });
    this.label = LABELS[name] ?? shortName(name);
  }

  civil(ms: number): CivilTime {
    const out: Record<string, number> = {};
    for (const p of this.parts.formatToParts(ms)) out[p.type] = Number(p.value);
    return out as unknown as CivilTime;
  }

  /** Offset of the zone at MS, in ms east of UTC. */
  offset(ms: number): number {
    const c = this.civil(ms);
    const whole = Math.floor(ms / 1000) * 1000;
    return Date.UTC(c.year, c.month - 1, c.day, c.hour, c.minute, c.second) - whole;
  }

  /** The moment a clock on the wall at the site shows C. */
  fromCivil(c: CivilTime): number {
    const wall = Date.UTC(c.year, c.month - 1, c.day, c.hour, c.minute, c.second);
    const guess = wall - this.offset(wall);
    return wall - this.offset(guess);
  }

  startOfDay(ms: number): number {
    return this.fromCivil({ ...this.civil(ms), hour: 0, minute: 0, second: 0 });
  }

  private format(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    let f = this.cache.get(key);
    if (!f) {
      f = new Intl.DateTimeFormat(this.locale, { timeZone: this.name, hourCycle: 'h23', ...options });
      this.cache.set(key, f);
    }
    return f;
  }

  /** 14.30.05, with tenths 14.30.05,3 (14:30:05.3 in English) */
  clock(ms: number, tenths = false): string {
    const text = this.format('clock', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);
    return tenths ? `${text}${this.locale === 'id-ID' ? ',' : '.'}${Math.floor((((ms % 1000) + 1000) % 1000) / 100)}` : text;
  }

  /** 14.30 */
  hourMinute(ms: number): string {
    return this.format('hm', { hour: '2-digit', minute: '2-digit' }).format(ms);
  }

  /** Kam, 12 Nov */
  shortDate(ms: number): string {
    return this.format('sd', { weekday: 'short', day: 'numeric', month: 'short' }).format(ms);
  }

  /** 12 Nov */
  dayMonth(ms: number): string {
    return this.format('dm', { day: 'numeric', month: 'short' }).format(ms);
  }

  /** Kamis, 12 November 2026 */
  longDate(ms: number): string {
    return this.format('ld', { dateStyle: 'full' }).format(ms);
  }

  month(ms: number): string {
    return this.format('m', { month: 'long', year: 'numeric' }).format(ms);
  }

  /** Kam, 12 Nov 14.30.05 WIB */
  full(ms: number): string {
    return `${this.shortDate(ms)} ${this.clock(ms)} ${this.label}`;
  }

  /** The time of day, with the date in front unless it is TODAY's. */
  relative(ms: number, now: number): string {
    const today = this.startOfDay(now);
    return ms >= today && ms < today + DAY ? this.clock(ms) : `${this.shortDate(ms)} ${this.clock(ms)}`;
  }

  /** 2026-11-12 and 2026-11-12T14:30 for form fields. */
  dateField(ms: number): string {
    const c = this.civil(ms);
    return `${c.year}-${two(c.month)}-${two(c.day)}`;
  }

  timeField(ms: number): string {
    const c = this.civil(ms);
    return `${two(c.hour)}:${two(c.minute)}:${two(c.second)}`;
  }
}

const two = (n: number): string => String(n).padStart(2, '0');

function shortName(zone: string): string {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'short' }).formatToParts(0);
  return parts.find((p) => p.type === 'timeZoneName')?.value ?? zone;
}

const YESTERDAY = /^(kemarin|kmrn|yesterday)\s*/;
const TODAY = /^(hari ini|today)\s*/;
const ISO_DATE = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[t\s]+|$)/;
const LOCAL_DATE = /^(\d{1,2})\/(\d{1,2})(?:\/(\d{2,4}))?(?:\s+|$)/;
const CLOCK = /^(?:(?:pukul|jam|at)\s*)?(\d{1,2})(?:[.:](\d{2}))?(?:[.:](\d{2}))?\s*(wib|wita|wit)?$/;
const AGO = /^-\s*(\d+)\s*(d|s|detik|m|mnt|menit|min|j|jam|h)$/;

/**
 * What a person typed, as a moment: "14:30", "14.30.05", "kemarin 22:00", "12/11 7.15",
 * "2026-11-12 14:30", "-10m". A time of day alone is the latest one not after NOW, unless REF
 * (where the person is looking) lies on another day: then it is of that day. Null when it is
 * none of these.
 */
export function parseTyped(text: string, zone: Zone, now: number, ref = now): number | null {
  let rest = text.trim().toLowerCase();
  const ago = AGO.exec(rest);
  if (ago) return now - Number(ago[1]) * agoUnit(ago[2] ?? 'm');
  let day = zone.civil(ref);
  let dated = true;
  let m: RegExpExecArray | null;
  if ((m = YESTERDAY.exec(rest))) {
    day = zone.civil(zone.startOfDay(now) - HOUR);
  } else if ((m = TODAY.exec(rest))) {
    day = zone.civil(now);
  } else if ((m = ISO_DATE.exec(rest))) {
    day = { ...day, year: Number(m[1]), month: Number(m[2]), day: Number(m[3]) };
  } else if ((m = LOCAL_DATE.exec(rest))) {
    const year = m[3] ? Number(m[3]) + (m[3].length <= 2 ? 2000 : 0) : day.year;
    day = { ...day, year, month: Number(m[2]), day: Number(m[1]) };
  } else {
    dated = false;
  }
  if (m) rest = rest.slice(m[0].length);
  if (rest === '' && dated) return checked(zone, { ...day, hour: 0, minute: 0, second: 0 });
  const c = CLOCK.exec(rest);
  if (!c) return null;
  const at = checked(zone, { ...day, hour: Number(c[1]), minute: Number(c[2] ?? 0), second: Number(c[3] ?? 0) });
  if (at !== null && !dated && at > now && zone.startOfDay(ref) === zone.startOfDay(now)) return at - DAY;
  return at;
}

function agoUnit(word: string): number {
  if (word === 's' || word === 'd' || word === 'detik') return 1000;
  return word === 'j' || word === 'jam' || word === 'h' ? HOUR : MINUTE;
}

function checked(zone: Zone, c: CivilTime): number | null {
  if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 || c.hour > 23 || c.minute > 59 || c.second > 59)
    return null;
  const at = zone.fromCivil(c);
  return zone.civil(at).day === c.day ? at : null;
}
