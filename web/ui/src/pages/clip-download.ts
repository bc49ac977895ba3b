/* clip-download.ts - fetch a file so that its progress can be shown, and hand it to the person. */
import { ApiError, fetchChecked } from '../api/client';
import type { Zone } from '../time/zone';

export interface Progress {
  got: number;
  total: number;
}

/** camera_2026-11-24_14.30.05-14.35.05_WIB.mp4 */
export function clipName(camera: string, from: number, to: number, zone: Zone): string {
  const dots = (t: number): string => zone.timeField(t).replaceAll(':', '.');
  return `${camera}_${zone.dateField(from)}_${dots(from)}-${dots(to)}_${zone.label}.mp4`;
}

export async function fetchWithProgress(url: string, onProgress: (p: Progress) => void): Promise<Blob> {
  const response = await fetchChecked(url);
  const total = Number(response.headers.get('content-length') ?? 0);
  const reader = response.body?.getReader();
  if (!reader) return response.blob();
  const parts: Uint8Array[] = [];
  let got = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    got += value.length;
    onProgress({ got, total });
  }
  if (total > 0 && got < total) throw new ApiError(0, 'cut-short', 'the file was cut short');
  return new Blob(parts as BlobPart[], { type: response.headers.get('content-type') ?? 'video/mp4' });
}

export function save(blob: Blob, name: string): void {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}
