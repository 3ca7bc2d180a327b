import { useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { answer, api } from '../api/client';
import { keys, rollBackQuery } from '../api/queries';
import type { Permission, Plugin, RollBackPreview, Settings } from '../api/types';
import { ChangeNotices } from '../plugins/ChangeNotices';
import { usePluginChange } from '../plugins/change';
import { Differences, Withheld } from '../settings/Differences';
import { pretty } from '../settings/dialect';
import { Loaded } from '../shell/Loaded';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { Loading } from '../ui/Loading';
import { Time } from '../ui/Time';
import { Written } from '../ui/Written';
import { Grants } from './Grants';
import { SettingsErrors } from './SettingsErrors';

const JsonEditor = lazy(() => import('../settings/JsonEditor'));

interface Props {
  plugin: Plugin;
  onClose: () => void;
}

/** Shows what rolling back brings: the version and its settings. Both change in one step. */
export function RollBackDialog({ plugin, onClose }: Props) {
  const query = useQuery(rollBackQuery({ guild_id: plugin.guild_id, plugin_id: plugin.id }));
  return (
    <Dialog title={`Roll back to version ${plugin.previous ?? ''}`} isOpen isWide onClose={onClose}>
      <Loaded query={query} what="the version to roll back to">
        {(preview) => <Preview plugin={plugin} preview={preview} onClose={onClose} />}
      </Loaded>
    </Dialog>
  );
}

function Preview({ plugin, preview, onClose }: Props & { preview: RollBackPreview }) {
  const queryClient = useQueryClient();
  const changes = usePluginChange(plugin);
  const { version, settings: saved } = preview;
  const [consent, setConsent] = useState<readonly Permission[]>([]);
  const [other, setOther] = useState<{ text: string; value: Settings | null } | null>(
    saved ? null : { text: pretty(plugin.settings), value: plugin.settings },
  );
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  // The latest answer of the API counts: the permissions may have changed since the preview was read.
  const newly = changes.problem?.kind === 'consent-required' ? changes.problem.consent : version.newly_needed;
  const isGiven = newly.every((each) => consent.includes(each));
  const wrong = other ? (changes.problem?.fields ?? []) : [];

  const submit = () =>
    changes.submit({
      what: `roll back to version ${version.number}`,
      done: `Version ${version.number} is live again, with its settings.`,
      etag: preview.etag,
      send: async (etag) => {
        const changed = await answer(
          api.POST('/api/guilds/{guild_id}/plugins/{plugin_id}/roll-back', {
            params: { path, header: { 'if-match': etag } },
            body: { consent: newly.filter((each) => consent.includes(each)), settings: other?.value ?? null },
          }),
        );
        void queryClient.invalidateQueries({ queryKey: [...keys.plugin(path), 'versions'] });
        onClose();
        return changed;
      },
    });

  return (
    <>
      <p>
        Version {version.number} will run for every message again
        {plugin.live && <>, instead of version {plugin.live.number}</>}.
        {saved && ' The settings that it was live with come back at the same moment.'}
      </p>
      <ChangeNotices changes={changes} hidesFields={wrong.length > 0} />
      <Grants version={version} newly={newly} consent={consent} isDisabled={changes.isPending} onChange={setConsent} />
      <h3>Settings</h3>
      {saved && !other && (
        <>
          <p>
            {saved.differences.length === 0
              ? 'The settings stay as they are: version '
              : 'The following settings change. They were saved '}
            {saved.differences.length === 0 ? (
              `${version.number} was live with the same ones.`
            ) : (
              <>
                <Time at={saved.saved_at} />
                {saved.actor_name !== null && (
                  <>
                    {' '}
                    by <Written text={saved.actor_name} />
                  </>
                )}
                .
              </>
            )}
          </p>
          <Differences differences={saved.differences} then="Rolled back" />
          <Withheld names={saved.withheld} secrets={plugin.secrets.map((secret) => secret.name)} />
          {preview.errors.length > 0 && (
            <div className="notice notice-warn">
              <p className="notice-title">Version {version.number} does not describe all of these settings</p>
              <SettingsErrors errors={preview.errors} />
              <p>It was live with them nevertheless, so they come back as they were.</p>
            </div>
          )}
          <p>
            <Button onPress={() => saved.settings && setOther({ text: pretty(saved.settings), value: saved.settings })}>
              Use other settings …
            </Button>
          </p>
        </>
      )}
      {other && (
        <>
          <p>
            {saved
              ? `Change the settings here. They are saved when version ${version.number} goes live.`
              : `It is not known which settings version ${version.number} was live with: they are older than what is kept. Check the current settings here, and change them if the version needs others. They are saved when it goes live.`}
          </p>
          {wrong.length > 0 && <SettingsErrors errors={wrong} />}
          <Suspense fallback={<Loading what="the editor" />}>
            <JsonEditor
              label="Settings as JSON"
              text={other.text}
              onChange={(text, value) => setOther({ text, value })}
            />
          </Suspense>
          {saved && (
            <p>
              <Button onPress={() => setOther(null)}>Use the settings of that time</Button>
            </p>
          )}
        </>
      )}
      <DialogActions>
        <Button onPress={onClose}>Cancel</Button>
        <Button
          kind="primary"
          isDisabled={!isGiven || (other !== null && other.value === null)}
          isPending={changes.isPending}
          onPress={submit}
        >
          {newly.length > 0 ? 'Allow and roll back' : 'Roll back'}
        </Button>
      </DialogActions>
    </>
  );
}
