/* use-visible.ts - whether an element is on the screen, by one IntersectionObserver for all. */
import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const watched = new Map<Element, (visible: boolean) => void>();
let observer: IntersectionObserver | null = null;

function observerOf(): IntersectionObserver {
  observer ??= new IntersectionObserver((entries) => {
    for (const e of entries) watched.get(e.target)?.(e.isIntersecting);
  }, { rootMargin: '80px' });
  return observer;
}

export function useVisible(ref: RefObject<Element | null>): boolean {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    const el = ref.current;
    if (!el) return undefined;
    watched.set(el, setVisible);
    observerOf().observe(el);
    return () => {
      watched.delete(el);
      observer?.unobserve(el);
    };
  }, []);
  return visible;
}
