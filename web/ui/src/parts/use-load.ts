/* use-load.ts - something from the server that a page shows: loading, there, failed, asked again. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError, serverReachable } from '../api/client';
import { useInterval } from './basics';

export interface Loaded<T> {
  /** Null until the first answer. An older answer stays while a newer is asked for. */
  value: Signal<T | null>;
  /** Why there is no answer; null after one. */
  error: Signal<unknown>;
  reload: () => void;
}

/** The server answered and said no: it will not say otherwise by itself. */
const refused = (error: unknown): boolean => error instanceof ApiError && error.status >= 400 && error.status < 500;

/**
 * Ask with ASK at once and whenever KEY changes; again every EVERY(value) ms where that is not 0, and
 * when the server comes back. Answers of an older question are dropped.
 */
export function useLoad<T>(key: string, ask: () => Promise<T>, every: (value: T | null) => number = () => 0): Loaded<T> {
  const value = useSignal<T | null>(null);
  const error = useSignal<unknown>(null);
  const turn = useRef(0);
  const asked = useRef(0);
  const reload = (): void => {
    const mine = ++turn.current;
    asked.current = Date.now();
    ask().then((answer) => {
      if (mine !== turn.current) return;
      value.value = answer;
      error.value = null;
    }, (failure: unknown) => {
      if (mine === turn.current) error.value = failure;
    });
  };
  useEffect(() => {
    value.value = null;
    reload();
    return () => { turn.current++; };
  }, [key]);
  useEffect(() => serverReachable.subscribe((up) => {
    if (up && error.peek()) queueMicrotask(reload);
  }), [key]);
  useInterval(() => {
    const wait = refused(error.peek()) ? 0 : every(value.peek());
    if (wait > 0 && !document.hidden && Date.now() - asked.current >= wait) reload();
  }, 500);
  return { value, error, reload };
}
