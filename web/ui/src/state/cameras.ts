/* cameras.ts - the cameras and what they are doing: a list, kept fresh by the live connection. */
import { computed, signal, type Signal } from '@preact/signals';
import { api, serverReachable, type Camera } from '../api/client';
import { linkState, live } from '../live/connection';
import { sessionState } from './session';

export const cameras = signal<Camera[] | null>(null);
export const cameraById = computed(() => new Map((cameras.value ?? []).map((c) => [c.id, c])));
/* Boxes of what moves now, in shares of the picture, one signal a camera: a box that moves renders one tile. */
const boxes = new Map<string, Signal<number[][]>>();
export function motionBoxes(id: string): Signal<number[][]> {
  let s = boxes.get(id);
  if (!s) boxes.set(id, s = signal<number[][]>([]));
  return s;
}
/** Counts up with every event that starts or ends, for pages that list them. */
export const eventTick = signal(0);

export const cameraName = (id: string): string => cameraById.value.get(id)?.name ?? id;
export const codecName = (codec = ''): string => codec.toUpperCase().replace(/^H?(264|265)$/, 'H.$1');

const REFRESH = 10_000;
const CALM = 4000; // a camera that moved a moment ago still counts as moving

export async function refreshCameras(): Promise<void> {
  const list = await api.cameras();
  cameras.value = list.items.map((c) => (motionBoxes(c.id).peek().length > 0 ? { ...c, motion: true } : c));
}

let soon: ReturnType<typeof setTimeout> | null = null;
let calm: ReturnType<typeof setTimeout> | null = null;

function refreshSoon(): void {
  soon ??= setTimeout(() => {
    soon = null;
    void refreshCameras().catch(() => undefined);
  }, 500);
}

/* Nothing moves there any more: a while later the server says whether the camera still has an event. */
function calmLater(): void {
  calm ??= setTimeout(() => {
    calm = null;
    refreshSoon();
  }, CALM);
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
    motionBoxes(m.camera).value = m.boxes;
    if (m.boxes.length === 0) calmLater();
    else if (cameraById.peek().get(m.camera)?.motion === false) patch(m.camera, { motion: true });
  } else if (m.op === 'event') {
    eventTick.value++;
    const { camera, type } = m.event;
    if (type.startsWith('camera-')) return;
    if (m.phase === 'end') refreshSoon(); // another event of this camera may still go on
    else patch(camera, { motion: true });
  }
});

/* Who hears nothing must not go on showing that something moves. */
linkState.subscribe((state) => {
  if (state !== 'open') for (const s of boxes.values()) s.value = [];
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
