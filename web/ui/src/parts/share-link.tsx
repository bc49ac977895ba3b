/* share-link.tsx - the address of what is on show, for somebody who may see it too. */
import { t } from '../i18n';
import { toast, Tool } from './basics';

async function share(): Promise<void> {
  try {
    if (navigator.share && matchMedia('(pointer: coarse)').matches) {
      await navigator.share({ url: location.href });
      return;
    }
    await navigator.clipboard.writeText(location.href);
    toast(t('timeline.copied'));
  } catch (error) {
    // Plain HTTP has no clipboard: show it, so that it can be selected.
    if ((error as DOMException).name !== 'AbortError') toast(location.href);
  }
}

export function ShareLink({ label }: { label: string }) {
  return <Tool icon="share" label={label} onClick={() => void share()} />;
}
