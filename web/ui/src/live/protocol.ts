/*
 * protocol.ts - the live WebSocket as docs/live-protocol.md has it: binary messages with a
 * header of 24 bytes, text messages in JSON.
 */

export const HEADER_SIZE = 24;

export const enum MessageType {
  Init = 1,
  Chunk = 2,
  Jpeg = 3,
}

export interface MediaMessage {
  type: MessageType;
  tile: number;
  key: boolean;
  sequence: number;
  /** When the frame was captured, microseconds since the epoch, UTC. */
  captureUs: number;
  data: Uint8Array;
}

export type StreamKind = 'main' | 'sub' | 'still';

export type ServerText =
  | { op: 'ready'; tile: number; mime: string; camera?: string; stream?: string; width?: number; height?: number }
  | { op: 'dropped'; tile: number; frames: number }
  | { op: 'state'; camera: string; state: string; recording: boolean; why?: string; motion?: boolean;
      last_frame?: string | null }
  | { op: 'event'; phase: string; event: { camera: string; type: string } }
  | { op: 'motion'; camera: string; boxes: number[][] }
  | { op: 'error'; tile?: number; code: string; message?: string };

/** What BUFFER says, or null when it is not a message of version 1. */
export function parseMedia(buffer: ArrayBuffer): MediaMessage | null {
  if (buffer.byteLength < HEADER_SIZE) return null;
  const view = new DataView(buffer);
  if (view.getUint8(0) !== 1) return null;
  const type = view.getUint8(1);
  if (type < MessageType.Init || type > MessageType.Jpeg) return null;
  return {
    type,
    tile: view.getUint16(2, true),
    key: (view.getUint32(4, true) & 1) !== 0,
    sequence: u64(view, 8),
    captureUs: i64(view, 16),
    data: new Uint8Array(buffer, HEADER_SIZE),
  };
}

/** A JSON text message, or null when it is none. Unknown operations are the caller's to ignore. */
export function parseText(text: string): ServerText | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    return typeof (value as { op?: unknown }).op === 'string' ? (value as ServerText) : null;
  } catch {
    return null;
  }
}

/* Exact up to 2^53, which is the year 2255 in microseconds. */
function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

function i64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
