/* grid.ts - the 16 x 9 grid of activity as the catalog stores it: bit y * 16 + x, least significant first. */

export const GRID_W = 16;
export const GRID_H = 9;

export function cellsToHex(cells: Iterable<number>): string {
  const bytes = new Uint8Array((GRID_W * GRID_H) / 8);
  for (const c of cells) bytes[c >> 3]! |= 1 << (c & 7);
  return [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
}
