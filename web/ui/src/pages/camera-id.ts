/* camera-id.ts - a short id made of a camera's name, and where its pages lead back to. */

const PAGES = new Set(['new', 'find']);      // #/admin/cameras/new is no camera

/** "Gerbang Utara" → "gerbang-utara", with a number behind it when it is TAKEN. */
export function slug(name: string, taken: ReadonlySet<string>): string {
  const base = name.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 32) || 'kamera';
  if (!taken.has(base) && !PAGES.has(base)) return base;
  for (let n = 2; ; n++) if (!taken.has(`${base}-${n}`)) return `${base}-${n}`;
}

/** Where a page of cameras leads back to: the first steps, if the person came from there. */
export const backFrom = (query: URLSearchParams): string => (query.get('back') === 'setup' ? '#/setup?step=cameras' : '#/admin/cameras');
