/* tip.tsx - what lies under the pointer: the time, the picture, why there is none, the event. */
import { useEffect, useRef } from 'preact/hooks';
import { serverUrl } from '../api/client';
import { t, tCode, zone } from '../i18n';
import { Scrubber } from '../player/scrub';
import { cameraById, cameraName } from '../state/cameras';
import { duration } from '../i18n';
import type { CameraRow, Gap, Pin } from './data';

export interface Hover {
  t: number;
  camera: string | null;
  x: number;
  y: number;
  width: number;
  row: CameraRow | null;
  /** How far in ms a thing may be to count as under the pointer. */
  near: number;
}

export function under(h: Hover): { gap: Gap | undefined; pin: Pin | undefined; recorded: boolean } {
  const hit = (from: number, to: number): boolean => h.t >= from - h.near && h.t <= to + h.near;
  return {
    gap: h.row?.gaps.find((g) => h.t >= g.from && h.t < g.to),
    pin: h.row?.pins.find((p) => hit(p.start, p.end)),
    recorded: h.row?.spans.some((s) => h.t >= s.from && h.t < s.to) ?? false,
  };
}

function Preview({ camera, at }: { camera: string; at: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scrubber = useRef<Scrubber | null>(null);
  useEffect(() => {
    const sub = cameraById.peek().get(camera)?.has_sub;
    scrubber.current = new Scrubber(camera, sub ? 'sub' : 'main', (picture, w, h) => {
      const c = canvas.current;
      if (!c || !w) return;
      c.width = 208;
      c.height = Math.round((208 * h) / w);
      c.getContext('2d')?.drawImage(picture, 0, 0, c.width, c.height);
    });
    return () => scrubber.current?.destroy();
  }, [camera]);
  useEffect(() => scrubber.current?.show(at), [camera, at]);
  return <canvas ref={canvas} width="208" height="117" />;
}

export function Tip({ hover }: { hover: Hover }) {
  const { gap, pin, recorded } = under(hover);
  const left = Math.max(4, Math.min(hover.width - 228, hover.x - 112));
  return (
    <div class="tl-tip" style={{ left: `${left}px`, bottom: `calc(100% - ${hover.y - 14}px)` }}>
      {pin && hover.camera ? <img src={serverUrl(`/api/v1/events/${pin.id}/thumbnail.jpg`)} alt="" />
        : recorded && hover.camera && <Preview camera={hover.camera} at={hover.t} />}
      <strong class="num">{zone.value.full(hover.t)}</strong>
      {hover.camera && <div>{cameraName(hover.camera)}</div>}
      {pin && <div>{tCode('event', pin.type)} · {duration(pin.end - pin.start)}</div>}
      {gap && <div>{t('timeline.noVideo')}: {tCode('gap', gap.reason)} ({duration(gap.to - gap.from)})</div>}
    </div>
  );
}
