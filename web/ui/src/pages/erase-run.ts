/* erase-run.ts - a long span is erased an hour at a time, as the server takes it; how far it came is known all the while. */

const HOUR = 3600_000;

export interface Erased {
  /** Everything before this is gone. */
  until: number;
  records: number;
  pictures: number;
  /** Why it stopped before the end; null when it did not. */
  error: unknown;
}

/** How many questions the server is asked. */
export const partsOf = (from: number, to: number): number => Math.ceil((to - from) / HOUR);

/** Erase [FROM, TO) with ASK, earliest first; ON_PART hears which part is being erased. Never throws. */
export async function eraseSpan(from: number, to: number, ask: (from: number, to: number) => Promise<{ records: number; pictures: number }>,
  onPart: (n: number) => void): Promise<Erased> {
  const done: Erased = { until: from, records: 0, pictures: 0, error: null };
  for (let n = 1; done.until < to; n++) {
    const end = Math.min(to, done.until + HOUR);
    onPart(n);
    try {
      const gone = await ask(done.until, end);
      done.records += gone.records;
      done.pictures += gone.pictures;
      done.until = end;
    } catch (error) {
      return { ...done, error };
    }
  }
  return done;
}
