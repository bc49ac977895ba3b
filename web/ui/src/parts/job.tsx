/* job.tsx - how far a copy or a package is, in words and as a bar. */
import type { JobState } from '../api/people';
import { bytes, number, t, tCode } from '../i18n';

interface Job {
  state: JobState;
  done_bytes: number;
  total_bytes: number;
  why: string;
}

const LOOKS: Record<JobState, string> = { waiting: 'plain', running: 'warn', done: 'ok', failed: 'bad', cancelled: 'plain' };

export function JobBadge({ state, what }: { state: JobState; what: 'hold' | 'package' }) {
  return <span class={`badge ${LOOKS[state]}`}>{state === 'done' && <i class="dot" />}{tCode(`${what}.state`, state)}</span>;
}

/** IN: what done_bytes counts; a copy for looking at counts thousandths of the work. */
export function JobProgress({ job, label, in: unit = 'bytes' }: { job: Job; label: string; in?: 'bytes' | 'share' }) {
  if (job.state === 'failed') return <p class="form-error" style="margin:4px 0 0">{job.why || t('job.noReason')}</p>;
  if (job.state !== 'running') return null;
  const share = job.total_bytes > 0 ? Math.min(1, job.done_bytes / job.total_bytes) : 0;
  return (
    <div class="job-progress">
      <div class="meter" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share * 100)}>
        <i style={{ width: `${share * 100}%` }} />
      </div>
      <span class="dim num">{job.total_bytes <= 0 ? t('job.starting') : `${number(share * 100)} %${unit === 'bytes' ? ` · ${bytes(job.done_bytes)} / ${bytes(job.total_bytes)}` : ''}`}</span>
    </div>
  );
}
