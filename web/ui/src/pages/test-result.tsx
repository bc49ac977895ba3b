/* test-result.tsx - what came of trying an address: its picture and what it is, or why not. */
import type { Probe } from '../api/client';
import { bitrate, number, t } from '../i18n';
import { whyText } from '../i18n/why';
import { codecName } from '../state/cameras';

export function TestResult({ probe }: { probe: Probe }) {
  if (!probe.ok) return <p class="form-error">{t('test.failed')}: {whyText(probe.why)}</p>;
  const facts = [codecName(probe.codec), probe.width ? `${probe.width}×${probe.height}` : '', probe.fps ? `${number(probe.fps, 1)} fps` : '',
    probe.bitrate ? bitrate(probe.bitrate) : '', probe.audio ? `♪ ${probe.audio.toUpperCase()}` : '',
    probe.gop_seconds ? t('test.gop', { s: number(probe.gop_seconds, 1) }) : ''];
  return (
    <div class="tried">
      {probe.picture && <img src={`data:image/jpeg;base64,${probe.picture}`} alt={t('cameras.picture')} />}
      <p><span class="badge ok">{t('test.ok')}</span>{' '}<span class="num">{facts.filter(Boolean).join(' · ')}</span></p>
    </div>
  );
}
