/* cameras.ts - the cameras and what they are doing: a list, kept fresh by the live connection. */
import { computed, signal } from '@preact/signals';
import { api, serverReachable, type Camera } from '../api/client';
import { live } from '../live/connection';
import { sessionState } from './session';

export const cameras = signal<Camera[] | null>(null);
export const cameraById = computed(() => new Map((cameras.value ?? []).map((c) => [c.id, c])));
/** Boxes of what moves now, in shares of the picture: camera → [x, y, w, h]. */
export const motionBoxes = signal<ReadonlyMap<string, number[][]>>(new Map());
/** Counts up with every event that starts or ends, for pages that list them. */
export const eventTick = signal(0);

export const cameraName = (id: string): string => cameraById.value.get(id)?.name ?? id;

const REFRESH = 10_000;

export async function refreshCameras(): Promise<void> {
  const list = await api.cameras();
  cameras.value = list.items;
}

let soon: ReturnType<typeof setTimeout> | null = null;

function refreshSoon(): void {
  soon ??= setTimeout(() => {
    soon = null;
    void refreshCameras().catch(() => undefined);
  }, 500);
}

function patch(id: string, change: Partial<Camera>): void {
  const list = cameras.value;
  if (!list?.some((c) => c.id === id)) return;
  cameras.value = list.map((c) => (c.id === id ? { ...c, ...change } : c));
}

live.listen((m) => {
  if (m.op === 'state') {
    const change: Partial<Camera> = { state: m.state, recording: m.recording };
    if (m.why !== undefined) change.why = m.why;
    if (m.motion !== undefined) change.motion = m.motion;
    patch(m.camera, change);
  } else if (m.op === 'motion') {
    const next = new Map(motionBoxes.value);
    if (m.boxes.length) next.set(m.camera, m.boxes);
    else next.delete(m.camera);
    motionBoxes.value = next;
    const moving = m.boxes.length > 0;
    if (cameraById.value.get(m.camera)?.motion !== moving) patch(m.camera, { motion: moving });
  } else if (m.op === 'event') {
    eventTick.value++;
    const { camera, type } = m.event;
    if (type.startsWith('camera-')) return;
    if (m.phase === 'end') refreshSoon(); // another event of this camera may still go on
    else patch(camera, { motion: true });
  }
});

/** Keep the list fresh while somebody looks. Returns the stop. */
export function watchCameras(): () => void {
  let stopped = false;
  const tick = (): void => {
    if (!stopped && !document.hidden && sessionState.value === 'in') void refreshCameras().catch(() => undefined);
  };
  tick();
  const timer = setInterval(tick, REFRESH);
  const again = serverReachable.subscribe((up) => {
    if (up) queueMicrotask(() => cameras.value === null && tick());
  });
  document.addEventListener('visibilitychange', tick);
  return () => {
    stopped = true;
    clearInterval(timer);
    again();
    document.removeEventListener('visibilitychange', tick);
  };
}
