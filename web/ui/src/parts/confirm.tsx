/* confirm.tsx - a question before something that cannot be taken back. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { t } from '../i18n';
import { Dialog, errorText } from './basics';

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  action: string;
  /** Done when it resolves; its failure is said in the dialog. */
  onYes: () => Promise<unknown>;
  onClose: () => void;
}

export function Confirm({ title, children, action, onYes, onClose }: ConfirmProps) {
  const busy = useSignal(false);
  const error = useSignal('');
  const yes = async (): Promise<void> => {
    busy.value = true;
    error.value = '';
    try {
      await onYes();
      onClose();
    } catch (failure) {
      error.value = errorText(failure);
      busy.value = false;
    }
  };
  return (
    <Dialog title={title} onClose={onClose} footer={<>
      <button type="button" class="btn" onClick={onClose}>{t('action.cancel')}</button>
      <button type="button" class="btn danger" disabled={busy.value} onClick={() => void yes()}>{action}</button>
    </>}>
      {children}
      <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
    </Dialog>
  );
}
