/* shell.tsx - navigation and the messages that concern every page. */
import type { ComponentChildren } from 'preact';
import { cameras } from '../state/cameras';
import { unseen } from '../state/unseen';
import { serverReachable } from '../api/client';
import { t } from '../i18n';
import { linkState, live } from '../live/connection';
import { page } from '../router';
import { atLeast, watches } from '../state/session';
import { Toasts } from './basics';
import { Icon, type IconName } from './icons';

/** The hashed address of the icon, as the page itself names it. */
export const iconUrl = (): string => document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href ?? '';

type Item = { page: string; icon: IconName; key: 'nav.live' | 'nav.timeline' | 'nav.events' | 'nav.clip' | 'nav.incidents' | 'nav.more'; may: () => boolean };

const takesOut = (): boolean => atLeast('head');
const always = (): boolean => true;

/* Only what this person may: the server refuses the rest. */
const ITEMS: Item[] = [
  { page: 'live', icon: 'live', key: 'nav.live', may: watches },
  { page: 'timeline', icon: 'timeline', key: 'nav.timeline', may: watches },
  { page: 'events', icon: 'events', key: 'nav.events', may: watches },
  { page: 'clip', icon: 'clip', key: 'nav.clip', may: takesOut },
  { page: 'incidents', icon: 'folder', key: 'nav.incidents', may: () => takesOut() || !watches() },
  { page: 'more', icon: 'more', key: 'nav.more', may: always },
];

const HOME: Record<string, string> = { erase: 'clip', packages: 'incidents', admin: 'more', account: 'more', setup: 'more' };

function Navigation() {
  const here = HOME[page.value] ?? (page.value === 'live' && !watches() ? 'incidents' : page.value);
  const news = unseen.value;
  return (
    <nav class="rail" aria-label={t('nav.main')}>
      <div class="logo"><img src={iconUrl()} alt="Kentongan" width="38" height="38" /></div>
      {ITEMS.filter((i) => i.may()).map((i) => (
        <a key={i.page} class="nav-item" href={`#/${i.page}`} aria-current={here === i.page ? 'page' : undefined}>
          <Icon name={i.icon} />
          <span>{t(i.key)}</span>
          {i.page === 'events' && news > 0 && (
            <span class="count num" aria-label={t('nav.unseen', { n: news })}>{news > 99 ? '99+' : news}</span>
          )}
        </a>
      ))}
    </nav>
  );
}

function Notices() {
  const dead = (cameras.value ?? []).filter((c) => c.enabled && !c.recording);
  const lost = linkState.value === 'lost' || !serverReachable.value;
  return (
    <div role="status" aria-live="polite">
      {lost && (
        <div class="notice">
          <Icon name="offline" />
          <span class="grow">{t('notice.lost')}</span>
          <button class="btn" onClick={() => live.reconnectNow()}>{t('action.retry')}</button>
        </div>
      )}
      {!lost && dead.length > 0 && (
        <div class="notice">
          <Icon name="warning" />
          <span class="grow">
            <strong>{t('notice.notRecording')}</strong>{' '}
            {dead.length > 3 ? t('notice.nCameras', { n: dead.length }) : dead.map((c) => c.name).join(', ')}
          </span>
          <a class="btn" href="#/admin/cameras">{t('action.details')}</a>
        </div>
      )}
    </div>
  );
}

export function Shell({ children }: { children: ComponentChildren }) {
  return (
    <div class="shell">
      <Navigation />
      <main class="main" id="main">
        <Notices />
        {children}
      </main>
      <Toasts />
    </div>
  );
}
