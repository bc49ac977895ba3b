/* use-forward.ts - keeps the places of the wall while cameras come forward, and still while a hand is there. */
import { useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Camera } from '../api/client';
import { useInterval } from '../parts/basics';
import { comeForward, NOBODY, sameGuests, seated } from './forward';

const HAND = 3000; // ms after a hand moved on the wall

/** Whether a hand, the focus or a scrolled view keeps the wall as it is. */
function useHeld(wall: RefObject<HTMLElement | null>): () => boolean {
  const touched = useRef(-HAND);
  const down = useRef(false);
  useEffect(() => {
    const el = wall.current;
    if (!el) return undefined;
    const touch = (e: Event): void => {
      touched.current = performance.now();
      if (e.type === 'pointerdown') down.current = true;
    };
    const up = (): void => { down.current = false; };
    for (const type of ['pointerdown', 'pointermove']) el.addEventListener(type, touch, { passive: true });
    for (const type of ['pointerup', 'pointercancel']) window.addEventListener(type, up);
    return () => {
      for (const type of ['pointerdown', 'pointermove']) el.removeEventListener(type, touch);
      for (const type of ['pointerup', 'pointercancel']) window.removeEventListener(type, up);
    };
  }, []);
  return () => down.current || performance.now() - touched.current < HAND || (wall.current?.scrollTop ?? 0) > 8
    || wall.current?.querySelector('.tile:focus-visible') !== null;
}

/**
 * LIST with the cameras where something moves among its first FRONT; and which are there as guests.
 * ON is the user's wish, HOLD keeps all in their places for another reason.
 */
export function useForward(list: Camera[], front: number, on: boolean, hold: boolean, wall: RefObject<HTMLElement | null>):
    { list: Camera[]; guests: ReadonlySet<string> } {
  const state = useRef(NOBODY);
  const guests = useSignal(NOBODY.guests);
  const held = useHeld(wall);
  const look = (): void => {
    const active = new Set(list.filter((c) => c.motion && c.enabled).map((c) => c.id));
    const next = on ? comeForward(state.current, list.map((c) => c.id), front, active, performance.now(), hold || held()) : NOBODY;
    if (!sameGuests(state.current, next)) guests.value = next.guests;
    state.current = next;
  };
  useEffect(look);
  useInterval(look, 1000);
  if (!on || guests.value.length === 0) return { list, guests: new Set() };
  const byId = new Map(list.map((c) => [c.id, c]));
  const order = seated(list.map((c) => c.id), guests.value);
  return { list: order.map((id) => byId.get(id)!), guests: new Set(guests.value.map((g) => g.id)) };
}
