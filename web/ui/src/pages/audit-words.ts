/* audit-words.ts - the rows of the audit log as sentences. */
import type { AuditRow } from '../api/people';
import { number, t } from '../i18n';

type Did = Extract<Parameters<typeof t>[0], `did.${string}`>;
type DidName = Did extends `did.${infer Name}` ? Name : never;
type Group = 'audit.groupLook' | 'audit.groupEvidence' | 'audit.groupAccounts' | 'audit.groupSetup';

export const ACTIONS: { group: Group; actions: DidName[] }[] = [
  { group: 'audit.groupLook', actions: ['live', 'play', 'search', 'download'] },
  { group: 'audit.groupEvidence', actions: ['incident-add', 'incident-change', 'incident-mark', 'incident-delete', 'incident-share', 'incident-unshare', 'hold', 'hold-release',
    'export', 'export-cancel', 'package-download', 'paper', 'link-add', 'link-revoke'] },
  { group: 'audit.groupAccounts', actions: ['login', 'login-failed', 'logout', 'logout-all', 'session-end', 'password', 'user-password', 'totp-on', 'totp-remove',
    'user-add', 'user-change', 'user-delete', 'invite', 'invite-withdraw', 'invitation-used'] },
  { group: 'audit.groupSetup', actions: ['camera-add', 'camera-change', 'camera-delete', 'erase', 'camera-test', 'camera-discover', 'rules-trial', 'settings', 'audit-export'] },
];

const KNOWN = new Set<string>(ACTIONS.flatMap((g) => g.actions));
const OF_CAMERA = new Set(['live', 'play', 'search', 'download', 'camera-add', 'camera-change', 'camera-delete', 'erase', 'camera-test', 'rules-trial']);
const BY_NUMBER = new Set(['incident-add', 'incident-change', 'incident-delete', 'incident-share', 'incident-unshare', 'hold', 'hold-release', 'export',
  'export-cancel', 'package-download', 'paper', 'link-add', 'link-revoke', 'invite-withdraw']);

const text = (detail: AuditRow['detail'], key: string): string => {
  const value = (detail as Record<string, unknown> | null)?.[key];
  return typeof value === 'string' ? value : '';
};

/** What was done, to follow the name of who did it: "menonton langsung: Gerbang Utara". */
export function auditSentence(row: Pick<AuditRow, 'action' | 'object' | 'detail'>, cameraName: (id: string) => string): string {
  if (!KNOWN.has(row.action)) return [row.action, row.object].filter(Boolean).join(': ');
  const copy = row.action === 'export' && text(row.detail, 'kind') === 'copy';
  const did = t(copy ? 'did.export-copy' : `did.${row.action as DidName}`);
  const object = row.object ?? '';
  const named = OF_CAMERA.has(row.action) && object ? cameraName(object) : BY_NUMBER.has(row.action) && object ? `#${object}` : object;
  const more = text(row.detail, 'title') || text(row.detail, 'with') || text(row.detail, 'note') || text(row.detail, 'officer') || (row.action === 'erase' ? text(row.detail, 'reason') : '');
  const tail = [named, more].filter(Boolean).join(', ');
  return tail ? `${did}: ${tail}` : did;
}

/** Enough of a hash to compare by eye. */
export const shortHash = (hash: string): string => `${hash.slice(0, 16)}…`;

export const hours = (n: number): string => (n > 0 && n % 24 === 0 ? t('users.days', { n: number(n / 24) }) : t('users.hours', { n: number(n) }));
