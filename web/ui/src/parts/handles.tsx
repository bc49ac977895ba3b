/* handles.tsx - corners that are drawn on a picture: buttons that take the focus; the pointer and arrow keys move them. */
import type { Point } from '../pages/rules';

const STEP = 0.01;

interface HandlesProps {
  points: Point[];
  label: (i: number) => string;
  onMove: (i: number, to: Point) => void;
  onDelete: (i: number) => void;
  toPoint: (e: PointerEvent) => Point;
}

export function Handles({ points, label, onMove, onDelete, toPoint }: HandlesProps) {
  const keys = (i: number) => (e: KeyboardEvent): void => {
    const by: Record<string, Point> = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const move = by[e.key];
    const p = points[i]!;
    if (move) onMove(i, [p[0] + move[0], p[1] + move[1]]);
    else if (e.key === 'Delete') onDelete(i);
    else return;
    e.preventDefault();
  };
  return (
    <>
      {points.map((p, i) => (
        <button key={i} type="button" class="handle" style={{ left: `${p[0] * 100}%`, top: `${p[1] * 100}%` }} aria-label={label(i)}
          onKeyDown={keys(i)}
          onPointerDown={(e) => { e.stopPropagation(); (e.currentTarget as HTMLElement).setPointerCapture(e.pointerId); }}
          onPointerMove={(e) => { if ((e.currentTarget as HTMLElement).hasPointerCapture(e.pointerId)) onMove(i, toPoint(e)); }} />
      ))}
    </>
  );
}
