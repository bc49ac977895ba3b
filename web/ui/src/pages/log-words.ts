/* log-words.ts - lines of the log, which the recorder writes in English, as people say it. */
import { type Key, number, t, tCode } from '../i18n';
import { whyText } from '../i18n/why';

const LINES: readonly (readonly [RegExp, Key])[] = [
  [/^(\S+)\/(?:main|sub): streaming$/, 'log.streaming'],
  [/^(\S+)\/(?:main|sub): cannot record: (.*)$/, 'log.cannotRecord'],
  [/^ring: (\S+): NOT RECORDING: (.*)$/, 'log.notRecording'],
  [/^rings: NOT RECORDING to ([^:]+): (.*)$/, 'log.notRecording'],
  [/^ring: (\S+): recording again$/, 'log.again'],
  [/^ring: (\S+): a second of video is lost/, 'log.lost'],
  [/^ring: (\S+): damage on disk/, 'log.damage'],
  [/^ring: (\S+): (\d+) records that were being written/, 'log.torn'],
  [/^ring: (\S+): \S+ring\.meta was \w+ and is written again/, 'log.metaAgain'],
  [/^rings: (\S+) is too small for its cameras: it holds ([\d.]+) hours/, 'log.tooSmall'],
  [/^rings: (\S+): ([\d.]+) GiB/, 'log.ringOpen'],
  [/^kentongan: (\d+) cameras, listening/, 'log.started'],
  [/^kentongan: stopp(?:ed|ing)$/, 'log.stopped'],
  [/^configuration: read again: (\d+) cameras/, 'log.reread'],
  [/^configuration: not reloaded: (.*)$/, 'log.notReread'],
  [/^catalog: (\d+) events were open/, 'log.openEvents'],
  [/^cameras: (\S+): stopped$/, 'log.cameraStopped'],
  [/^(\S+): analysis load \d+ -> (\d+)$/, 'log.load'],
  [/^events: (\d+) notes were refused/, 'log.notesRefused'],
];

const STATE = /^(\S+)\/(?:main|sub): ([a-z-]+): (.+)$/;

/** TEXT in the person's language; null where nobody has written any. */
export function logText(text: string, cameraName: (id: string) => string): string | null {
  for (const [pattern, key] of LINES) {
    const m = pattern.exec(text);
    if (m) return t(key, { what: cameraName(m[1] ?? ''), more: /^[\d.]+$/.test(m[2] ?? '') ? number(Number(m[2]), 1) : whyText(m[2] ?? '') });
  }
  const state = STATE.exec(text);
  if (!state) return null;
  const [, camera, name, why] = state as unknown as [string, string, string, string];
  return `${cameraName(camera)}: ${tCode('camera', name)}. ${whyText(why)}`;
}
