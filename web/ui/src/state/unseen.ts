/* unseen.ts - how many events nobody has looked at since yesterday noon, for the badge. */
import { effect, signal } from '@preact/signals';
import { api, iso } from '../api/client';
import { DAY } from '../time/zone';
import { serverNow } from '../time/server-clock';
import { eventTick } from './cameras';
import { sessionState, watches } from './session';

export const unseen = signal(0);

let timer: ReturnType<typeof setTimeout> | null = null;

async function count(): Promise<void> {
  try {
    const list = await api.events({ seen: false, from: iso(serverNow() - DAY), limit: 100 });
    unseen.value = list.items.length;
  } catch {
    // The next event asks again.
  }
}

/** At most one request in two seconds, however many events come. */
export function recountUnseen(): void {
  timer ??= setTimeout(() => {
    timer = null;
    void count();
  }, 2000);
}

effect(() => {
  eventTick.value;
  if (sessionState.value === 'in' && watches()) recountUnseen();
});
