/* basics.tsx - what every page uses: states, messages, dialogs, fields. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { ApiError } from '../api/client';
import { language, t, tCode } from '../i18n';
import { whyText } from '../i18n/why';
import { Icon, type IconName } from './icons';

export function Loading() {
  return (
    <div class="empty" role="status">
      <div class="spinner" />
      <p>{t('state.loading')}</p>
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
}

export function Empty({ icon, title, children }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** An error in words of the person's language, with the server's own detail behind it. */
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return String((error as Error)?.message ?? error);
  if (error.status === 0) return t('error.unreachable');
  const known = tCode('error', error.code);
  // What was wrong with an entry only the server knows, in English: what nobody has put into words stands behind ours.
  if (error.code === 'bad-request' && error.message) {
    const said = whyText(error.message);
    return language.value === 'en' || said !== error.message ? said : `${known}: ${said}`;
  }
  if (known !== `error.${error.code}` && known !== error.code) return known.replace('{seconds}', String(error.retryAfter ?? 60));
  return error.message || t('error.other', { code: error.code });
}

export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div class="empty" role="alert">
      <Icon name={error instanceof ApiError && error.status === 0 ? 'offline' : 'warning'} />
      <h2>{errorText(error)}</h2>
      {retry && !(error instanceof ApiError && error.status === 404) && <button class="btn" onClick={retry}>{t('action.retry')}</button>}
    </div>
  );
}

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const toasts = signal<Toast[]>([]);
let nextToast = 1;

export function toast(text: string, bad = false): void {
  const id = nextToast++;
  toasts.value = [...toasts.value.slice(-2), { id, text, bad }];
  setTimeout(() => {
    toasts.value = toasts.value.filter((x) => x.id !== id);
  }, bad ? 7000 : 4000);
}

export const toastError = (error: unknown): void => toast(errorText(error), true);

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((x) => <div key={x.id} class={x.bad ? 'toast bad' : 'toast'}>{x.text}</div>)}
    </div>
  );
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  footer?: ComponentChildren;
}

/** A modal dialog of the browser's own: it keeps the focus inside and closes with Escape. */
export function Dialog({ title, onClose, children, footer }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const d = ref.current;
    const before = document.activeElement;
    d?.showModal();
    return () => {
      d?.close(); // it has left the page by now, and the browser gives the focus back to nobody
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog ref={ref} class="dialog" aria-label={title} onCancel={(e) => { e.preventDefault(); onClose(); }}
      onClick={(e) => e.target === ref.current && onClose()}>
      <header>
        <h2 class="grow">{title}</h2>
        <button class="btn quiet icon-only" onClick={onClose} aria-label={t('action.close')}><Icon name="close" /></button>
      </header>
      <div class="body">{children}</div>
      {footer && <footer>{footer}</footer>}
    </dialog>
  );
}

interface ToolProps {
  icon: IconName;
  label: string;
  onClick?: (() => void) | undefined;
  href?: string;
  pressed?: boolean;
  disabled?: boolean;
  text?: boolean;
  quiet?: boolean;
  keys?: string;
}

/** A button with an icon; the label is spoken and shown as a tip, or written when TEXT. */
export function Tool({ icon, label, onClick, href, pressed, disabled, text, quiet, keys }: ToolProps) {
  const cls = `btn${text ? '' : ' icon-only'}${quiet ? ' quiet' : ''}`;
  const inside = <><Icon name={icon} />{text && <span>{label}</span>}</>;
  const tip = keys ? `${label} (${keys})` : label;
  if (href !== undefined) return <a class={cls} href={href} title={tip} aria-label={label}>{inside}</a>;
  return (
    <button type="button" class={cls} title={tip} aria-label={label} aria-pressed={pressed} disabled={disabled}
      onClick={onClick}>{inside}</button>
  );
}

interface FieldProps {
  label: string;
  hint?: string | undefined;
  children: (id: string) => ComponentChildren;
}

let nextField = 1;

export function Field({ label, hint, children }: FieldProps) {
  const id = useRef(`f${nextField++}`).current;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
      {hint && <small>{hint}</small>}
    </div>
  );
}

/** Run FN every MS while mounted. */
export function useInterval(fn: () => void, period: number): void {
  const ref = useRef(fn);
  ref.current = fn;
  useEffect(() => {
    const timer = setInterval(() => ref.current(), period);
    return () => clearInterval(timer);
  }, [period]);
}

/** Keys while mounted, except in fields and dialogs. Handlers return true when they took it. */
export function useKeys(handler: (e: KeyboardEvent) => boolean): void {
  const ref = useRef(handler);
  ref.current = handler;
  useLayoutEffect(() => { // at once: the next key belongs to the page that is on show
    const onKey = (e: KeyboardEvent): void => {
      const el = e.target as HTMLElement;
      if (e.ctrlKey || e.metaKey || e.altKey || el.closest('input,select,textarea,dialog')) return;
      if ((e.key === ' ' || e.key === 'Enter') && el.closest('button,a')) return;
      if (ref.current(e)) e.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
}
