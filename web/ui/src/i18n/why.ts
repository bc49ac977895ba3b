/* why.ts - what the recorder says about a camera or a ring (in English), in the person's language, with what to do. */
import { t, tCode, type Key } from './index';

const WORDS: readonly (readonly [RegExp, Key])[] = [
  [/nothing was changed \('kentongan recover'/, 'why.unclearRing'],
  [/another ring|there is no ring in|ring .*No such file/, 'why.otherDisk'],
  [/ring .*has no room/, 'why.noRoom'],
  [/ring .*(Read-only|Permission denied)|does not take data: .*(Read-only|Permission denied)/, 'why.readOnly'],
  [/ring .*another process/, 'why.twice'],
  [/does not take data|ring .*Input\/output error|ring .*(damaged|cannot be rebuilt)/, 'why.badDisk'],
  [/redirect/, 'why.redirect'],
  [/asks for a user name and password/, 'why.needPassword'],
  [/refuses (the|this) user name/, 'why.password'],
  [/forbids this stream/, 'why.forbidden'],
  [/no such stream/, 'why.path'],
  [/too many viewers/, 'why.viewers'],
  [/does not offer (TCP|UDP)/, 'why.transport'],
  [/codec (\S+) cannot be recorded/, 'why.codec'],
  [/offers no video/, 'why.noVideo'],
  [/no answer|does not read/, 'why.slow'],
  [/unknown kind of password/, 'why.passwordKind'],
  [/no key frame/, 'why.noKey'],
  [/no video for|no frame came/, 'why.silent'],
  [/connection refused/i, 'why.refused'],
  [/timed out|unreachable|no route|nothing answers|couldn't connect/i, 'why.unreachable'],
  [/refuses \S+ \((\d+)\)/, 'why.refuses'],
  [/closed the connection|ended the session|forgot the session|reset by peer/i, 'why.closed'],
  [/does not speak RTSP|sends garbage|answer is too long|addresses are too long|challenge is too long/, 'why.notRtsp'],
  [/thousands of frames/, 'why.flood'],
  [/name of the camera is not known|no machine is called/, 'why.name'],
  [/name server/, 'why.dns'],
  [/not allowed/, 'why.notAllowed'],
  [/no JPEG/, 'why.noJpeg'],
  [/this is no address/, 'why.noAddress'],
  [/is not possible here, but (rtsp|http)/, 'why.scheme'],
  [/comes from the configuration file/, 'why.inFile'],
  [/there is a camera \S+ already|there is one of that name/, 'why.taken'],
  [/does not speak ONVIF/, 'why.noOnvif'],
];

/** WHY in words that say what to do; itself where nobody has written any. */
export function whyText(why: string): string {
  for (const [pattern, key] of WORDS) {
    const match = pattern.exec(why);
    if (match) return t(key, { what: match[1] ?? '' });
  }
  return why;
}

/** What to change in a camera whose settings hurt. */
export const adviceText = (word: string): string => tCode('advice', word);
