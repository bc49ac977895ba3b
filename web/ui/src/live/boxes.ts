/*
 * boxes.ts - the little of ISO BMFF that a player must read: where chunks begin and when
 * their first frame is decoded. Everything else is left to the browser.
 */

export const TIMESCALE = 90000;

export interface Chunk {
  /** Offset and length of `moof` + `mdat` in the bytes given. */
  offset: number;
  size: number;
  /** Decode time of the first sample of the first track, in seconds. */
  time: number;
  /** Its duration as the track fragment says, in seconds; 0 when it does not say. */
  duration: number;
  track: number;
}

const fourcc = (s: string): number =>
  ((s.charCodeAt(0) << 24) | (s.charCodeAt(1) << 16) | (s.charCodeAt(2) << 8) | s.charCodeAt(3)) >>> 0;

const MOOF = fourcc('moof');
const MDAT = fourcc('mdat');
const TRAF = fourcc('traf');
const TFDT = fourcc('tfdt');
const TFHD = fourcc('tfhd');
const TRUN = fourcc('trun');

/* Calls VISIT for each box of [FROM, TO). Stops at a box that does not fit: its bytes are missing. */
function eachBox(v: DataView, from: number, to: number,
                 visit: (type: number, body: number, end: number, start: number) => void): void {
  let at = from;
  while (at + 8 <= to) {
    let size = v.getUint32(at);
    let body = at + 8;
    if (size === 1) {
      if (at + 16 > to) return;
      size = v.getUint32(at + 8) * 2 ** 32 + v.getUint32(at + 12);
      body = at + 16;
    } else if (size === 0) {
      size = to - at;
    }
    if (size < body - at || at + size > to) return;
    visit(v.getUint32(at + 4), body, at + size, at);
    at += size;
  }
}

interface Fragment { time: number; duration: number; track: number }

function readTraf(v: DataView, from: number, to: number): Fragment {
  const f: Fragment = { time: 0, duration: 0, track: 0 };
  let defaultDuration = 0;
  eachBox(v, from, to, (type, body) => {
    if (type === TFHD) {
      const flags = v.getUint32(body) & 0xffffff;
      f.track = v.getUint32(body + 4);
      let at = body + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
      if (flags & 8) defaultDuration = v.getUint32(at);
      at += 4;
    } else if (type === TFDT) {
      f.time = v.getUint8(body) === 1
        ? v.getUint32(body + 4) * 2 ** 32 + v.getUint32(body + 8) : v.getUint32(body + 4);
    } else if (type === TRUN) {
      const flags = v.getUint32(body) & 0xffffff;
      const count = v.getUint32(body + 4);
      let at = body + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
      const step = 4 * ((flags >> 8 & 1) + (flags >> 9 & 1) + (flags >> 10 & 1) + (flags >> 11 & 1));
      if (!(flags & 0x100)) {
        f.duration += defaultDuration * count;
        return;
      }
      for (let i = 0; i < count; i++, at += step) f.duration += v.getUint32(at);
    }
  });
  return f;
}

/** The chunks in DATA, a row of `moof` + `mdat` pairs (other boxes between them are skipped). */
export function listChunks(data: Uint8Array): Chunk[] {
  const v = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const chunks: Chunk[] = [];
  let open: { offset: number; fragment: Fragment | null } | null = null;
  eachBox(v, 0, data.byteLength, (type, body, end, start) => {
    if (type === MOOF) {
      let fragment: Fragment | null = null;
      eachBox(v, body, end, (inner, innerBody, innerEnd) => {
        if (inner === TRAF && !fragment) fragment = readTraf(v, innerBody, innerEnd);
      });
      open = { offset: start, fragment };
    } else if (type === MDAT && open?.fragment) {
      chunks.push({
        offset: open.offset,
        size: end - open.offset,
        time: open.fragment.time / TIMESCALE,
        duration: open.fragment.duration / TIMESCALE,
        track: open.fragment.track,
      });
      open = null;
    }
  });
  return chunks;
}

/**
 * Let the one frame of CHUNK (a `moof` + `mdat`) last SECONDS: written over its own duration, so that a
 * picture alone stays until the next. False when the chunk leaves its duration to the init segment.
 */
export function stretch(chunk: Uint8Array, seconds: number): boolean {
  const v = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const ticks = Math.max(1, Math.round(seconds * TIMESCALE));
  let done = false;
  eachBox(v, 0, chunk.byteLength, (moof, moofBody, moofEnd) => {
    if (moof !== MOOF) return;
    eachBox(v, moofBody, moofEnd, (traf, trafBody, trafEnd) => {
      if (traf !== TRAF) return;
      eachBox(v, trafBody, trafEnd, (type, body) => {
        const flags = v.getUint32(body) & 0xffffff;
        if (type === TFHD && flags & 8) {
          v.setUint32(body + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0), ticks);
          done = true;
        } else if (type === TRUN && flags & 0x100) {
          v.setUint32(body + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0), ticks);
          done = true;
        }
      });
    });
  });
  return done;
}

/** Decode time of the first chunk in DATA, in seconds, or null. */
export function firstTime(data: Uint8Array): number | null {
  return listChunks(data)[0]?.time ?? null;
}
