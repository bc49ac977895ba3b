/*
 * sw.ts - service worker: the shell opens without a network and then says that the server is
 * away. Pictures, video and the API are never cached: what is shown is live or not shown.
 */
declare const SHELL_FILES: string[];
declare const SHELL_VERSION: string;

interface Waiting extends Event {
  waitUntil(p: Promise<unknown>): void;
}
interface Fetching extends Waiting {
  request: Request;
  respondWith(r: Promise<Response>): void;
}

const cacheName = `kentongan-${SHELL_VERSION}`;

addEventListener('install', (e) => {
  (e as Waiting).waitUntil(caches.open(cacheName).then((c) => c.addAll(['./', ...SHELL_FILES])));
});

addEventListener('activate', (e) => {
  (e as Waiting).waitUntil(caches.keys().then((names) =>
    Promise.all(names.filter((n) => n !== cacheName).map((n) => caches.delete(n)))));
});

async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match('./')) ?? Response.error();
  }
}

addEventListener('fetch', (event) => {
  const e = event as Fetching;
  const url = new URL(e.request.url);
  if (e.request.method !== 'GET' || url.origin !== location.origin) return;
  if (e.request.mode === 'navigate' && !url.pathname.includes('/e/') && !url.pathname.includes('/api/'))
    e.respondWith(page(e.request));
  else if (url.pathname.includes('/assets/'))
    e.respondWith(caches.match(e.request).then((hit) => hit ?? fetch(e.request)));
});

export {};
