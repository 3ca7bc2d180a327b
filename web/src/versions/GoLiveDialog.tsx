import { useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { answer, api } from '../api/client';
import { keys } from '../api/queries';
import type { Permission, Plugin, Settings, Version } from '../api/types';
import { ChangeNotices } from '../plugins/ChangeNotices';
import { usePluginChange } from '../plugins/change';
import { useSignIn } from '../session/Session';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { Loading } from '../ui/Loading';
import { count, pause } from '../words/format';
import { Grants } from './Grants';
import { SettingsErrors } from './SettingsErrors';

const JsonEditor = lazy(() => import('../settings/JsonEditor'));

interface Props {
  plugin: Plugin;
  version: Version;
  onClose: () => void;
}

/** Shows the permissions that a version needs, and asks for consent to exactly those that are new. */
export function GoLiveDialog({ plugin, version, onClose }: Props) {
  const queryClient = useQueryClient();
  const { subscribers_max_age_seconds: maxAge } = useSignIn();
  const changes = usePluginChange(plugin);
  const [consent, setConsent] = useState<readonly Permission[]>([]);
  const [settings, setSettings] = useState<{ text: string; value: Settings | null } | null>(null);
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  // The latest answer of the API counts: the permissions may have changed since the list was read.
  const newly = changes.problem?.kind === 'consent-required' ? changes.problem.consent : version.newly_needed;
  const isGiven = newly.every((each) => consent.includes(each));
  const settingsProblem = changes.problem?.fields.some((field) => field.pointer.startsWith('/settings'))
    ? changes.problem
    : null;

  const submit = async () => {
    const agreed = newly.filter((each) => consent.includes(each));
    await changes.submit({
      what: `let version ${version.number} go live`,
      done: `Version ${version.number} is live.`,
      send: async (etag) => {
        const changed = await answer(
          api.PUT('/api/guilds/{guild_id}/plugins/{plugin_id}/live', {
            params: { path, header: { 'if-match': etag } },
            body: { version: version.number, consent: agreed, settings: settings?.value ?? null },
          }),
        );
        void queryClient.invalidateQueries({ queryKey: [...keys.plugin(path), 'versions'] });
        onClose();
        return changed;
      },
    });
  };

  return (
    <Dialog title={`Let version ${version.number} go live`} isOpen isWide onClose={onClose}>
      <p>
        This version will run for every message
        {plugin.live ? `, instead of version ${plugin.live.number}. You can roll back at any time.` : '.'}
      </p>
      {!plugin.live && maxAge > 0 && (
        <p>
          If this is the guild’s first plugin, the chat server may take up to {pause(maxAge)} to send the guild’s
          messages.
        </p>
      )}
      <ChangeNotices changes={changes} hidesFields={settingsProblem !== null} />
      <Grants version={version} newly={newly} consent={consent} isDisabled={changes.isPending} onChange={setConsent} />
      <Imports version={version} />
      {settingsProblem && (
        <>
          <h3>Settings</h3>
          <p>
            The current settings are not valid for this version. Correct them here. They are saved when the version goes
            live.
          </p>
          <SettingsErrors errors={settingsProblem.fields} />
          <Suspense fallback={<Loading what="the editor" />}>
            <JsonEditor
              label="Settings as JSON"
              text={settings?.text ?? JSON.stringify(plugin.settings, null, 2)}
              onChange={(text, value) => setSettings({ text, value })}
            />
          </Suspense>
        </>
      )}
      <DialogActions>
        <Button onPress={onClose}>Cancel</Button>
        <Button
          kind="primary"
          isDisabled={!isGiven || (settings !== null && settings.value === null)}
          isPending={changes.isPending}
          onPress={submit}
        >
          {newly.length > 0 ? 'Allow and go live' : 'Go live'}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function Imports({ version }: { version: Version }) {
  if (version.imports.length === 0) return <p className="muted">It imports nothing, so it can only calculate.</p>;
  return (
    <details className="details">
      <summary>{count(version.imports.length, 'import')}</summary>
      <ul className="imports">
        {version.imports.map((name) => (
          <li key={name}>
            <code>{name}</code>
            {version.unavailable.includes(name) && <span className="muted"> has no effect here</span>}
          </li>
        ))}
      </ul>
    </details>
  );
}
