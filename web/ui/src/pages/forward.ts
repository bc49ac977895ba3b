/*
 * forward.ts - cameras where something moves come forward on the wall: who is out of sight takes the place
 * of one in sight where nothing moves. Nobody else moves, and a while after it is calm all are home again.
 * No DOM here. Times are milliseconds of a clock that only goes forward.
 */

/** Calm for so long: a guest goes home, and a place may be given to one. */
export const STAY = 20_000;

interface Guest {
  id: string;
  /** Index in the order of the wall where it stands now. */
  place: number;
}

export interface Forward {
  guests: readonly Guest[];
  /** When something moved last, by camera. */
  moved: ReadonlyMap<string, number>;
}

export const NOBODY: Forward = { guests: [], moved: new Map() };

/**
 * Who stands where at NOW. ORDER holds all ids as the user arranged them, the first FRONT of them are in
 * sight, ACTIVE are those where something moves. With HELD (a hand is there) everybody stays.
 */
export function comeForward(was: Forward, order: readonly string[], front: number, active: ReadonlySet<string>, now: number,
                            held = false): Forward {
  const moved = new Map([...was.moved].filter(([, at]) => now - at < STAY));
  for (const id of active) moved.set(id, now);
  if (held) return { guests: was.guests, moved };
  const home = new Map(order.map((id, i) => [id, i]));
  const guests = was.guests.filter((g) => g.place < front && (home.get(g.id) ?? 0) >= front && moved.has(g.id));
  const free: number[] = [];
  for (let i = 0; i < Math.min(front, order.length); i++)
    if (!moved.has(order[i]!) && !guests.some((g) => g.place === i)) free.push(i);
  for (const id of order.slice(front)) {
    if (!active.has(id) || guests.some((g) => g.id === id)) continue;
    const place = free.pop(); // from the end: what the user put first stays longest
    if (place === undefined) break;
    guests.push({ id, place });
  }
  return { guests, moved };
}

/** ORDER with the guests in their places, and who stood there in theirs: nobody is missing or there twice. */
export function seated(order: readonly string[], guests: readonly Guest[]): string[] {
  const out = [...order];
  for (const { id, place } of guests) {
    const home = order.indexOf(id);
    if (home < 0 || place >= order.length) continue;
    out[home] = order[place]!;
    out[place] = id;
  }
  return out;
}

export const sameGuests = (a: Forward, b: Forward): boolean =>
  a.guests.length === b.guests.length && a.guests.every((g, i) => g.id === b.guests[i]!.id && g.place === b.guests[i]!.place);
