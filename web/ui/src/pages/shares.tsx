/* shares.tsx - links to one package for people without an account: make, look at, take back. */
import { useSignal } from '@preact/signals';
import { ms, serverUrl } from '../api/client';
import { type Export, people, type Share, type ShareUse } from '../api/people';
import { t, tCode, zone } from '../i18n';
import { Dialog, errorText, Failed, Field, Loading, Tool } from '../parts/basics';
import { Confirm } from '../parts/confirm';
import { copyText, CopyText } from '../parts/copy-text';
import { Icon } from '../parts/icons';
import { Qr } from '../parts/qr';
import { useLoad } from '../parts/use-load';
import { serverNow } from '../time/server-clock';
import { isCopy, makePin } from './case-state';

const DAYS = [1, 3, 7, 14, 30];
const TIMES = [1, 3, 10, 0];

interface Made {
  share: Share;
  pin: string;
}

function linkState(s: Share): 'revoked' | 'expired' | 'used-up' | 'open' {
  if (s.revoked) return 'revoked';
  if (ms(s.expires) <= serverNow()) return 'expired';
  return s.max_downloads > 0 && s.downloads >= s.max_downloads ? 'used-up' : 'open';
}

function MakeLink({ item, onMade, onClose }: { item: Export; onMade: (m: Made) => void; onClose: () => void }) {
  const error = useSignal('');
  const pin = useSignal(makePin());
  const withPin = useSignal(true);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const used = withPin.value ? pin.value : '';
    try {
      const share = await people.addShare(item.id, { days: Number(f.get('days')), max_downloads: Number(f.get('times')), note: String(f.get('note')).trim(), ...(used ? { pin: used } : {}) });
      onMade({ share, pin: used });
    } catch (failure) {
      error.value = errorText(failure);
    }
  };
  return (
    <Dialog title={t('link.make')} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <Field label={t('link.for')} hint={t('link.forHint')}>{(id) => <input id={id} name="note" type="text" maxLength={120} required />}</Field>
        <div class="pair">
          <Field label={t('link.days')}>{(id) => <select id={id} name="days" defaultValue="7">{DAYS.map((n) => <option key={n} value={n} selected={n === 7}>{t('link.nDays', { n })}</option>)}</select>}</Field>
          <Field label={t('link.times')}>{(id) => <select id={id} name="times">{TIMES.map((n) => <option key={n} value={n} selected={n === 3}>{n === 0 ? t('link.anyTimes') : t('link.nTimes', { n })}</option>)}</select>}</Field>
        </div>
        <label class="check"><input type="checkbox" checked={withPin.value} onChange={() => { withPin.value = !withPin.value; }} />{t('link.withPin')}</label>
        {withPin.value && <Field label="PIN" hint={t('link.pinHint')}>{(id) => <input id={id} class="num" type="text" inputMode="numeric" pattern="[0-9]{4,12}" maxLength={12} required value={pin.value} onInput={(e) => { pin.value = (e.currentTarget as HTMLInputElement).value; }} />}</Field>}
        <div role="alert">{error.value && <p class="form-error">{error.value}</p>}</div>
        <div class="row end"><button type="button" class="btn tall" onClick={onClose}>{t('action.cancel')}</button><button class="btn primary tall">{t('link.make')}</button></div>
      </form>
    </Dialog>
  );
}

/** Shown once: only a hash of it is kept. */
function ShowLink({ made, copy, onClose }: { made: Made; copy: boolean; onClose: () => void }) {
  const url = serverUrl(made.share.path ?? '');
  const text = t(copy ? 'viewing.message' : 'link.message', { url, until: zone.value.full(ms(made.share.expires)) });
  const send = (): void => {
    if (typeof navigator.share === 'function') navigator.share({ text }).catch(() => undefined);
    else void copyText(text);
  };
  return (
    <Dialog title={t('link.ready')} onClose={onClose}>
      <p class="notice warn rounded"><Icon name="warning" /><span>{t('link.once')}</span></p>
      <CopyText text={url} label={t('link.copy')} />
      <div class="link-show">
        <Qr text={url} label={t('link.qr')} />
        {made.pin && <div><span class="dim">PIN</span><div class="pin num">{made.pin}</div><p class="dim">{t('link.pinApart')}</p></div>}
      </div>
      <div class="row end">
        <button type="button" class="btn tall" onClick={send}><Icon name="share" />{t('link.send')}</button>
        <button type="button" class="btn primary tall" onClick={onClose}>{t('link.noted')}</button>
      </div>
    </Dialog>
  );
}

function Log({ share, onClose }: { share: Share; onClose: () => void }) {
  const { value, error, reload } = useLoad(String(share.id), () => people.shareLog(share.id));
  const rows: ShareUse[] | undefined = value.value?.items;
  return (
    <Dialog title={t('link.log', { note: share.note })} onClose={onClose}>
      {!rows ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
        : rows.length === 0 ? <p class="dim">{t('link.unseen')}</p>
          : <ul class="plain-list">{rows.map((u, n) => (
            <li key={n} class="row"><span class="grow">{tCode('link.use', u.what)}<br /><span class="dim num">{u.address}</span></span><span class="dim num">{zone.value.full(ms(u.time))}</span></li>
          ))}</ul>}
    </Dialog>
  );
}

function Row({ share: s, onChanged }: { share: Share; onChanged: () => void }) {
  const asking = useSignal(false);
  const looking = useSignal(false);
  const state = linkState(s);
  const facts = [t('link.until', { time: zone.value.full(ms(s.expires)) }),
    s.max_downloads > 0 ? t('link.ofTimes', { n: s.downloads, max: s.max_downloads }) : t('link.taken', { n: s.downloads }), s.has_pin ? t('link.hasPin') : t('link.noPin')];
  return (
    <li>
      <div class="row">
        <div class="grow"><strong>{s.note || t('link.unnamed')}</strong>{' '}<span class={`badge ${state === 'open' ? 'ok' : 'plain'}`}>{tCode('link.state', state)}</span>
          <div class="dim num">{facts.join(' · ')}</div></div>
        <Tool icon="eye" quiet label={t('link.showLog', { note: s.note })} onClick={() => { looking.value = true; }} />
        {state === 'open' && <Tool icon="close" quiet label={t('link.revokeOf', { note: s.note })} onClick={() => { asking.value = true; }} />}
      </div>
      {looking.value && <Log share={s} onClose={() => { looking.value = false; }} />}
      {asking.value && <Confirm title={t('link.revokeTitle')} action={t('link.revoke')} onClose={() => { asking.value = false; }}
        onYes={() => people.revokeShare(s.id).then(onChanged)}><p>{t('link.revokeText')}</p></Confirm>}
    </li>
  );
}

export function Shares({ item }: { item: Export }) {
  const { value, error, reload } = useLoad(String(item.id), () => people.shares(item.id), () => 15_000);
  const making = useSignal(false);
  const made = useSignal<Made | null>(null);
  const list = value.value?.items;
  return (
    <section class="panel">
      <h2>{t(isCopy(item) ? 'viewing.links' : 'link.title')}</h2>
      <p class="dim">{t('link.what')}</p>
      {!list ? (error.value ? <Failed error={error.value} retry={reload} /> : <Loading />)
        : list.length > 0 && <ul class="plain-list">{list.map((s) => <Row key={s.id} share={s} onChanged={reload} />)}</ul>}
      <button type="button" class="btn primary tall" onClick={() => { making.value = true; }}><Icon name="link" />{t('link.make')}</button>
      {making.value && <MakeLink item={item} onClose={() => { making.value = false; }} onMade={(m) => { making.value = false; made.value = m; reload(); }} />}
      {made.value && <ShowLink made={made.value} copy={isCopy(item)} onClose={() => { made.value = null; }} />}
    </section>
  );
}
