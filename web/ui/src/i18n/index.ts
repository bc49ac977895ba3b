/*
 * index.ts - words. Indonesian is built in; English comes when it is chosen, and the words of the
 * pages about people and evidence when the first of those is opened. A missing key is a type
 * error, so neither language can lag behind.
 */
import { computed, signal } from '@preact/signals';
import { Zone } from '../time/zone';
import id from './id';
import type people from './people-id';

export type Key = keyof typeof id | keyof typeof people;
export type Words = Record<keyof typeof id, string>;
export type PeopleWords = Record<keyof typeof people, string>;
export type Language = 'id' | 'en';

const STORE = 'kt.language';

export const language = signal<Language>('id');
export const zoneName = signal('Asia/Jakarta');
export const zone = computed(() => new Zone(zoneName.value, language.value));

const words = signal<Record<string, string>>(id);
let withPeople = false;

/** TEXT with {names} replaced, and {n|camera|cameras} by what goes with one and with any other number. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, other?: string) =>
    one === undefined ? String(values[name] ?? whole) : (String(values[name]) === '1' ? one : other!));
}

/** The text of KEY with its holes filled. */
export function t(key: Key, values?: Record<string, string | number>): string {
  const text = words.value[key] ?? key;
  return values ? fill(text, values) : text;
}

/** The words for a code that came from the server: "gap.camera-silent"; the code itself if unknown. */
export function tCode(prefix: string, code: string): string {
  return words.value[`${prefix}.${code}`] ?? code;
}

async function wordsOf(which: Language): Promise<Record<string, string>> {
  const [base, more] = await Promise.all([
    which === 'en' ? import('./en').then((m) => m.default) : id,
    !withPeople ? {} : (which === 'en' ? import('./people-en') : import('./people-id')).then((m) => m.default),
  ]);
  return { ...base, ...more };
}

/** Bring the words of the pages about people and evidence; once is enough. */
export async function learnPeopleWords(): Promise<void> {
  if (withPeople) return;
  withPeople = true;
  try {
    words.value = await wordsOf(language.value);
  } catch (error) {
    withPeople = false;
    throw error;
  }
}

export async function setLanguage(next: Language): Promise<void> {
  words.value = await wordsOf(next);
  language.value = next;
  document.documentElement.lang = next;
  try {
    localStorage.setItem(STORE, next);
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
}

/** The language chosen on this device, or null. */
export function storedLanguage(): Language | null {
  try {
    const value = localStorage.getItem(STORE);
    return value === 'id' || value === 'en' ? value : null;
  } catch {
    return null;
  }
}

const locale = (): string => (language.value === 'en' ? 'en-GB' : 'id-ID');

export function number(n: number, digits = 0): string {
  return n.toLocaleString(locale(), { maximumFractionDigits: digits, minimumFractionDigits: 0 });
}

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${number(n, n < 10 && i > 0 ? 1 : 0)} ${units[i]}`;
}

export function bitrate(bps: number): string {
  return bps >= 1e6 ? `${number(bps / 1e6, 1)} Mbit/s` : `${number(bps / 1000)} kbit/s`;
}

/** "3 mnt 5 dtk" / "3 min 5 s". */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} ${t('unit.s')}`;
  const m = Math.floor(s / 60);
  if (m < 60) return s % 60 ? `${m} ${t('unit.m')} ${s % 60} ${t('unit.s')}` : `${m} ${t('unit.m')}`;
  const h = Math.floor(m / 60);
  if (h < 48) return m % 60 ? `${h} ${t('unit.h')} ${m % 60} ${t('unit.m')}` : `${h} ${t('unit.h')}`;
  return `${number(h / 24, 1)} ${t('unit.d')}`;
}
