/* incident-sharing.tsx - which police accounts may see an incident and its packages. */
import { api } from '../api/client';
import { type IncidentDetail, people } from '../api/people';
import { t } from '../i18n';
import { toastError } from '../parts/basics';
import { useLoad } from '../parts/use-load';

export function IncidentSharing({ incident: i, onChanged }: { incident: IncidentDetail; onChanged: () => void }) {
  const { value } = useLoad('police', () => api.users());
  const shared = i.shared_with ?? [];
  const police = (value.value?.items ?? []).filter((u) => u.role === 'police' && !u.disabled).map((u) => u.username);
  const names = [...new Set([...shared, ...police])].sort();
  const set = (name: string, on: boolean): void => { people.shareWith(i.id, name, on).then(onChanged, toastError); };
  return (
    <section class="panel">
      <h2>{t('sharing.title')}</h2>
      <p class="dim">{names.length > 0 ? t('sharing.what') : t('sharing.nobody')}</p>
      {names.map((name) => (
        <label key={name} class="check"><input type="checkbox" checked={shared.includes(name)} onChange={(e) => set(name, (e.currentTarget as HTMLInputElement).checked)} /><span>{name}</span></label>
      ))}
    </section>
  );
}
