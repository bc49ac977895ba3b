/* main.tsx - start: language, session, page. Pages beyond the wall are loaded when first opened. */
import { signal } from '@preact/signals';
import { type ComponentType, render } from 'preact';
import { useEffect } from 'preact/hooks';
import './styles/app.css';
import { setLanguage, storedLanguage, t } from './i18n';
import { Failed, Loading } from './parts/basics';
import { Shell } from './parts/shell';
import { LoginPage } from './pages/login';
import { WallPage } from './pages/wall';
import { page, route } from './router';
import { watchCameras } from './state/cameras';
import { resume, session, sessionState } from './state/session';
import { applyTheme } from './state/theme';

type Page = ComponentType<object>;

const loaders: Record<string, () => Promise<Page>> = {
  timeline: async () => (await import('./pages/timeline')).TimelinePage,
  events: async () => (await import('./pages/events')).EventsPage,
  clip: async () => (await import('./pages/clip')).ClipPage,
  admin: async () => (await import('./pages/admin')).AdminPage,
  more: async () => (await import('./pages/more')).MorePage,
};

const loaded = signal<Record<string, Page>>({});
const failure = signal<unknown>(null);
const startFailure = signal<unknown>(null);

async function load(name: string): Promise<void> {
  failure.value = null;
  try {
    const component = await loaders[name]!();
    loaded.value = { ...loaded.value, [name]: component };
  } catch (error) {
    failure.value = error; // an old page after an update of the server: a reload gets the new one
  }
}

function CurrentPage() {
  const name = page.value;
  useEffect(() => {
    if (name in loaders && !loaded.value[name]) void load(name);
  }, [name]);
  if (!(name in loaders)) return <WallPage />;
  const Component = loaded.value[name];
  if (Component) return <Component key={name === 'admin' ? route.value.path.join('/') : name} />;
  return failure.value ? <Failed error={failure.value} retry={() => location.reload()} /> : <Loading />;
}

type PasswordDialog = ComponentType<{ onClose: () => void; why?: string }>;
const passwordDialog = signal<PasswordDialog | null>(null);

/* The generated password of the first start is replaced before anything else. */
function FirstStart() {
  const wanted = session.value?.must_change_password === true;
  useEffect(() => {
    if (wanted) void import('./pages/more').then((m) => { passwordDialog.value = m.PasswordDialog; });
  }, [wanted]);
  const Dialog = passwordDialog.value;
  return wanted && Dialog ? <Dialog why={t('password.generated')} onClose={() => { passwordDialog.value = null; }} /> : null;
}

function Inside() {
  useEffect(watchCameras, []);
  return <Shell><CurrentPage /><FirstStart /></Shell>;
}

async function start(): Promise<void> {
  startFailure.value = null;
  try {
    await resume();
  } catch (error) {
    startFailure.value = error;
    setTimeout(() => void start(), 3000); // the server is away: come back by itself
  }
}

function App() {
  useEffect(() => {
    document.title = `${t(titleKey(page.value))} · Kentongan`;
  });
  if (sessionState.value === 'in') return <Inside />;
  if (sessionState.value === 'out') return <LoginPage />;
  return startFailure.value ? <Failed error={startFailure.value} retry={() => void start()} /> : <Loading />;
}

function titleKey(name: string): 'nav.live' | 'nav.timeline' | 'nav.events' | 'nav.clip' | 'nav.more' {
  if (name === 'timeline' || name === 'events' || name === 'clip') return `nav.${name}`;
  return name === 'admin' || name === 'more' ? 'nav.more' : 'nav.live';
}

applyTheme();
const first = storedLanguage();
if (first === 'en') await setLanguage('en').catch(() => undefined);
render(<App />, document.getElementById('app')!);
void start();
if ('serviceWorker' in navigator && window.isSecureContext) void navigator.serviceWorker.register('sw.js').catch(() => undefined);
