/* storage-words.ts - what is to be said of a disk and of when recordings are overwritten: arithmetic only. */
import type { Ring, System } from '../api/client';
import { DAY } from '../time/zone';

export type Disk = NonNullable<System['disks']>[number];
export type DiskWord = 'disk.errors' | 'disk.hot' | 'disk.otherFull' | 'disk.good' | 'disk.unknown';

const HOT = 55; // degrees: makers of surveillance disks promise up to 60

/** The one thing to say about a disk, the worst first. */
export function diskWord(disk: Disk, ring: Pick<Ring, 'state' | 'lost_intervals' | 'corrupt_records'>): DiskWord {
  if ((disk.errors ?? 0) > 0 || (ring.lost_intervals ?? 0) + (ring.corrupt_records ?? 0) > 0) return 'disk.errors';
  if (disk.temperature !== null && disk.temperature >= HOT) return 'disk.hot';
  if (disk.total_bytes > 0 && disk.free_bytes < disk.total_bytes * 0.02) return 'disk.otherFull';
  return disk.device ? 'disk.good' : 'disk.unknown';
}

/**
 * When the oldest recording begins to be overwritten: a moment, 'now' where the ring is full, null where the
 * pace is not known yet.
 */
export function overwriteAt(ring: Pick<Ring, 'days' | 'oldest'>, now: number): number | 'now' | null {
  if (!ring.days || !ring.oldest) return null;
  const at = Date.parse(ring.oldest) + ring.days * DAY;
  return at <= now ? 'now' : at;
}
