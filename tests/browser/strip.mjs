/*
 * strip.mjs - reads the time that kt-footage burns into its pictures as a strip of black and white
 * cells at the bottom left (tests/camera/footage/painter.c): "10", 16 bits of Gray code, a parity
 * bit, "1"; the unit is 1/30 s of loop time.
 */

/** Runs in the page: the tick shown by VIDEO (or a canvas), or null when the strip is not to be read. */
export function readStrip(video) {
  const { videoWidth: w = video.width, videoHeight: h = video.height } = video;
  if (!w || video.readyState < 2) return null;
  const cell = (12 * w) / 1920;
  const canvas = readStrip.canvas ?? (readStrip.canvas = new OffscreenCanvas(1, 1));
  const x0 = (24 * w) / 1920;
  const y0 = ((1080 - 36) * h) / 1080;
  const width = Math.ceil(cell * 20);
  canvas.width = width;
  canvas.height = 1;
  const c = canvas.getContext('2d', { willReadFrequently: true });
  c.drawImage(video, x0, y0 + cell / 2, width, 1, 0, 0, width, 1);
  const px = c.getImageData(0, 0, width, 1).data;
  const bits = [];
  for (let i = 0; i < 20; i++) bits.push(px[Math.floor((i + 0.5) * cell) * 4 + 1] > 122 ? 1 : 0);
  if (bits[0] !== 1 || bits[1] !== 0 || bits[19] !== 1) return null;
  let gray = 0;
  let parity = 0;
  for (let i = 2; i < 18; i++) {
    gray = (gray << 1) | bits[i];
    parity ^= bits[i];
  }
  if (parity !== bits[18]) return null;
  let tick = gray;
  for (let s = 1; s < 16; s <<= 1) tick ^= tick >> s;
  return tick & 0xffff;
}

/** Source text that defines readStrip in a page. */
export const STRIP_SOURCE = readStrip.toString();
