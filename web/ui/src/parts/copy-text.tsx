/* copy-text.tsx - text to take elsewhere, with a button that copies it where the browser lets it. */
import { t } from '../i18n';
import { toast, Tool } from './basics';

export async function copyText(text: string, node?: Node | null): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(t('copy.done'));
  } catch {
    // Without HTTPS there is no clipboard: mark the text, so that the keys or the menu copy it.
    if (node) getSelection()?.selectAllChildren(node);
    toast(t('copy.byHand'));
  }
}

export function CopyText({ text, label }: { text: string; label?: string }) {
  let node: HTMLElement | null = null;
  return (
    <div class="copy"><code ref={(el) => { node = el; }}>{text}</code>
      <Tool icon="copy" quiet label={label ?? t('copy.go')} onClick={() => void copyText(text, node)} /></div>
  );
}
