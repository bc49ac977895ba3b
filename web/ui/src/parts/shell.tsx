/* shell.tsx - navigation and the messages that concern every page. */
import type { ComponentChildren } from 'preact';
import { cameras } from '../state/cameras';
import { unseen } from '../state/unseen';
import { serverReachable } from '../api/client';
import { t } from '../i18n';
import { linkState, live } from '../live/connection';
import { page } from '../router';
import { Toasts } from './basics';
import { Icon, type IconName } from './icons';

/** The hashed address of the icon, as the page itself names it. */
export const iconUrl = (): string => document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href ?? '';

const ITEMS: { page: string; icon: IconName; key: 'nav.live' | 'nav.timeline' | 'nav.events' | 'nav.clip' | 'nav.more' }[] = [
  { page: 'live', icon: 'live', key: 'nav.live' },
  { page: 'timeline', icon: 'timeline', key: 'nav.timeline' },
  { page: 'events', icon: 'events', key: 'nav.events' },
  { page: 'clip', icon: 'clip', key: 'nav.clip' },
  { page: 'more', icon: 'more', key: 'nav.more' },
];

const MORE_PAGES = ['more', 'admin', 'account'];

function Navigation() {
  const here = MORE_PAGES.includes(page.value) ? 'more' : page.value;
  const news = unseen.value;
  return (
    <nav class="rail" aria-label={t('nav.main')}>
      <div class="logo"><img src={iconUrl()} alt="Kentongan" width="38" height="38" /></div>
      {ITEMS.map((i) => (
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
