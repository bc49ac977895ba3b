/* main.tsx - start: language, session, page. Pages beyond the wall are loaded when first opened. */
import { effect, signal } from '@preact/signals';
import { type ComponentType, render } from 'preact';
import { useEffect } from 'preact/hooks';
import './styles/app.css';
import { type Key, learnPeopleWords, setLanguage, storedLanguage, t } from './i18n';
import { Empty, Failed, Loading } from './parts/basics';
import { Shell } from './parts/shell';
import { LoginPage } from './pages/login';
import { WallPage } from './pages/wall';
import { go, page, route } from './router';
import { cameraName, watchCameras } from './state/cameras';
import { atLeast, resume, session, sessionState, watches } from './state/session';
import { applyTheme } from './state/theme';

type Page = ComponentType<object>;

/* A page together with the words that it needs. */
const people = (load: () => Promise<Page>) => async (): Promise<Page> =>
  (await Promise.all([load(), learnPeopleWords()]))[0];

const loaders: Record<string, () => Promise<Page>> = {
  timeline: async () => (await import('./pages/timeline')).TimelinePage,
  events: async () => (await import('./pages/events')).EventsPage,
  clip: async () => (await import('./pages/clip')).ClipPage,
  erase: people(async () => (await import('./pages/erase')).ErasePage),
  incidents: people(async () => (await import('./pages/incidents')).IncidentsPage),
  packages: people(async () => (await import('./pages/packages')).PackagesPage),
  account: people(async () => (await import('./pages/account')).AccountPage),
  setup: people(async () => (await import('./pages/setup')).SetupPage),
  invitation: people(async () => (await import('./pages/invitation')).InvitationPage),
  admin: people(async () => (await import('./pages/admin')).AdminPage),
  more: people(async () => (await import('./pages/more')).MorePage),
};
const forAll = (): boolean => true;
const takesOut = (): boolean => atLeast('head');
const sees = (): boolean => atLeast('head') || !watches();

/* Whom the server would answer at all: others are told so, not shown a page of errors. */
const MAY: Record<string, () => boolean> = { live: watches, timeline: watches, events: watches, clip: takesOut, incidents: sees, packages: sees, erase: () => atLeast('admin') };
const BY_PATH = ['admin', 'incidents', 'packages']; // another address there is another page

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
  const name = !watches() && !(page.value in loaders) ? 'incidents' : page.value;
  useEffect(() => {
    if (name in loaders && !loaded.value[name]) void load(name);
  }, [name]);
  if (session.value && !(MAY[name] ?? forAll)()) return <Empty icon="lock" title={t('error.forbidden')} />;
  if (!(name in loaders)) return <WallPage />;
  const Component = loaded.value[name];
  if (Component) return <Component key={BY_PATH.includes(name) ? route.value.path.join('/') : name} />;
  return failure.value ? <Failed error={failure.value} retry={() => location.reload()} /> : <Loading />;
}

/* The generated password of the first start is replaced before anything else. */
function FirstStart() {
  const wanted = session.value?.must_change_password === true;
  useEffect(() => {
    if (wanted) go('#/setup');
  }, [wanted]);
  return null;
}

function Inside() {
  useEffect(() => (watches() ? watchCameras() : undefined), []);
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
  if (page.value === 'invitation') return <CurrentPage />; // for somebody who has no account yet
  if (sessionState.value === 'in') return <Inside />;
  if (sessionState.value === 'out') return <LoginPage />;
  return startFailure.value ? <Failed error={startFailure.value} retry={() => void start()} /> : <Loading />;
}

const TITLES: Record<string, Key> = { packages: 'packages.title', erase: 'erase.title', account: 'account.title', setup: 'setup.title' };
const ADMIN: Record<string, Key> = { cameras: 'admin.cameras', system: 'admin.system', users: 'admin.users', audit: 'admin.audit', logs: 'admin.logs' };

/* What the tab and a screen reader call this page; words that are still on their way are left out. */
function title(): string {
  const [name = 'live', what] = route.value.path;
  if (sessionState.value === 'out' && name !== 'invitation') return t('login.enter');
  if (name === 'live' && what && watches()) return cameraName(what);
  const here = watches() || name in loaders ? name : 'incidents';
  const nav = ['live', 'timeline', 'events', 'clip', 'incidents'].find((x) => x === here) as 'live' | undefined;
  const key = nav ? `nav.${nav}` as const : (name === 'admin' ? ADMIN[what ?? 'cameras'] : TITLES[name]);
  const text = key && t(key);
  return text && text !== key ? text : t('nav.more');
}

applyTheme();
effect(() => {
  document.title = `${title()} · Kentongan`;
});
const first = storedLanguage();
if (first === 'en') await setLanguage('en').catch(() => undefined);
render(<App />, document.getElementById('app')!);
void start();
if ('serviceWorker' in navigator && window.isSecureContext) void navigator.serviceWorker.register('sw.js').catch(() => undefined);
