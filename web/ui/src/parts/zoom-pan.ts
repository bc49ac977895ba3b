/*
 * zoom-pan.ts - a picture under two fingers, a wheel, keys or a double tap. The arithmetic is
 * here; solo.tsx applies it as a CSS transform with its origin at the top left.
 */

export interface Zoom {
  scale: number;
  x: number;
  y: number;
}

export const NO_ZOOM: Zoom = { scale: 1, x: 0, y: 0 };
export const MAX_ZOOM = 8;

/** Scale by FACTOR around (CX, CY), given in pixels of the frame WIDTH x HEIGHT. */
export function zoomAt(z: Zoom, factor: number, cx: number, cy: number, width: number, height: number): Zoom {
  const scale = Math.min(MAX_ZOOM, Math.max(1, z.scale * factor));
  const k = scale / z.scale;
  return inside({ scale, x: cx - (cx - z.x) * k, y: cy - (cy - z.y) * k }, width, height);
}

export function panBy(z: Zoom, dx: number, dy: number, width: number, height: number): Zoom {
  return inside({ ...z, x: z.x + dx, y: z.y + dy }, width, height);
}

/* The picture always fills the frame. */
function inside(z: Zoom, width: number, height: number): Zoom {
  return {
    scale: z.scale,
    x: Math.min(0, Math.max(width * (1 - z.scale), z.x)),
    y: Math.min(0, Math.max(height * (1 - z.scale), z.y)),
  };
}
