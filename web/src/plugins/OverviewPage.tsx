import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { answer, api } from '../api/client';
import { asProblem } from '../api/problem';
import { keys } from '../api/queries';
import type { Plugin } from '../api/types';
import { useDraft } from '../session/drafts';
import { announce } from '../shell/announce';
import { PageHeading } from '../shell/PageHeading';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { TextArea, TextField } from '../ui/Field';
import { ProblemNotice, sentence } from '../ui/ProblemNotice';
import { Switch } from '../ui/Switch';
import { Time } from '../ui/Time';
import { Written } from '../ui/Written';
import { count } from '../words/format';
import { ChangeNotices } from './ChangeNotices';
import { patch, usePluginChange } from './change';
import { fieldError } from './fieldError';
import { usePlugin } from './PluginLayout';

export function OverviewPage() {
  const { guild, plugin } = usePlugin();
  const changes = usePluginChange(plugin);
  return (
    <>
      <PageHeading title={[plugin.name, guild.name]} level={2} isHidden>
        Overview
      </PageHeading>
      <ChangeNotices changes={changes} hidesFields />
      {plugin.disabled_by_operator !== null && (
        <div className="notice notice-bad">
          <p className="notice-title">
            Disabled by the operator: <Written text={plugin.disabled_by_operator} />
          </p>
          <p>The plugin gets no messages, whatever is chosen below. Ask the operator of this installation.</p>
        </div>
      )}
      {plugin.quarantine && <QuarantineNotice plugin={plugin} />}
      {!plugin.live && (
        <div className="notice notice-warn">
          <p className="notice-title">No version is live</p>
          <p>
            The plugin gets no messages until a version is live.{' '}
            <Link to="versions">Upload a version, and let it go live</Link>.
          </p>
        </div>
      )}
      <section className="section">
        <h3>Messages that it gets</h3>
        <Switch
          isSelected={plugin.enabled}
          isDisabled={changes.isPending}
          onChange={(enabled) =>
            changes.submit({
              what: enabled ? 'enable the plugin' : 'disable the plugin',
              done: enabled ? `${plugin.name} is enabled.` : `${plugin.name} is disabled.`,
              send: patch(plugin, { enabled }),
            })
          }
        >
          Enabled
        </Switch>
        <p className="muted">A disabled plugin gets no messages. Its state is kept.</p>
        <Switch
          isSelected={plugin.bot_messages}
          isDisabled={changes.isPending}
          onChange={(bot_messages) =>
            changes.submit({
              what: bot_messages ? 'give it messages of bots' : 'give it no messages of bots',
              done: bot_messages
                ? `${plugin.name} gets messages of bots.`
                : `${plugin.name} no longer gets messages of bots.`,
              send: patch(plugin, { bot_messages }),
            })
          }
        >
          Messages of bots too
        </Switch>
        <p className="muted">
          The plugin gets a bot’s message only if the message names the message that it answers, and is at most four
          answers away from a person’s message. Switch this on only if the plugin is meant to answer other plugins.
        </p>
      </section>
      {plugin.last_error && (
        <section className="section">
          <h3>Last error</h3>
          <p className="muted">{plugin.last_failed_at && <Time at={plugin.last_failed_at} />}</p>
          <pre className="log">
            <Written text={plugin.last_error} />
          </pre>
          <p>
            <Link to="runs">See its runs</Link>
          </p>
        </section>
      )}
      <About plugin={plugin} changes={changes} />
      <section className="section section-danger">
        <h3>Delete</h3>
        <p>
          This deletes the plugin with its versions, settings, secrets, state and runs. The audit log keeps its entries.
        </p>
        <DeletePlugin plugin={plugin} />
      </section>
    </>
  );
}

function QuarantineNotice({ plugin }: { plugin: Plugin }) {
  const queryClient = useQueryClient();
  const changes = usePluginChange(plugin);
  const { quarantine } = plugin;
  if (!quarantine) return null;
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  return (
    <div className="notice notice-bad">
      <p className="notice-title">Quarantined: {quarantine.reason}</p>
      <p>
        The plugin has had no messages since <Time at={quarantine.since} />. It is tried again{' '}
        <Time at={quarantine.retry_at} />
        {quarantine.pauses > 1 && <> after {count(quarantine.pauses, 'pause')}, each twice as long as the one before</>}
        . The last error was:
      </p>
      <pre className="log">
        <Written text={quarantine.last_error} />
      </pre>
      <p>
        <Link to="runs">See the failed runs</Link>. Then upload a corrected version, which ends the quarantine when it
        goes live. If the cause is gone already, try the plugin again now.
      </p>
      <ChangeNotices changes={changes} />
      <Button
        isPending={changes.isPending}
        onPress={() =>
          changes.submit({
            what: 'end the quarantine',
            done: `${plugin.name} gets messages again.`,
            send: async (etag) => {
              const changed = await answer(
                api.DELETE('/api/guilds/{guild_id}/plugins/{plugin_id}/quarantine', {
                  params: { path, header: { 'if-match': etag } },
                }),
              );
              void queryClient.invalidateQueries({ queryKey: [...keys.plugin(path), 'runs'] });
              return changed;
            },
          })
        }
      >
        Try again now
      </Button>
    </div>
  );
}

function About({ plugin, changes }: { plugin: Plugin; changes: ReturnType<typeof usePluginChange> }) {
  const saved = { name: plugin.name, description: plugin.description };
  const [draft, setDraft, dropDraft] = useDraft<typeof saved | null>(`about.${plugin.id}`, null);
  const shown = draft ?? saved;
  const isChanged = draft !== null && (draft.name !== saved.name || draft.description !== saved.description);
  return (
    <section className="section">
      <h3>Name and description</h3>
      <form
        className="form"
        onSubmit={async (event) => {
          event.preventDefault();
          await changes.submit({
            what: 'change its name and description',
            done: 'Name and description are saved.',
            send: async (etag) => {
              const changed = await patch(plugin, shown)(etag);
              dropDraft(null);
              return changed;
            },
          });
        }}
      >
        <TextField
          label="Name"
          required
          maxLength={64}
          value={shown.name}
          error={fieldError(changes.problem, '/name')}
          onChange={(event) => setDraft({ ...shown, name: event.target.value })}
        />
        <TextArea
          label="Description"
          maxLength={2_000}
          value={shown.description}
          error={fieldError(changes.problem, '/description')}
          onChange={(event) => setDraft({ ...shown, description: event.target.value })}
        />
        <div className="actions">
          <Button
            kind="primary"
            type="submit"
            isDisabled={!isChanged}
            isPending={changes.pending === 'change its name and description'}
          >
            Save
          </Button>
          {isChanged && <Button onPress={() => dropDraft(null)}>Discard</Button>}
        </div>
      </form>
    </section>
  );
}

function DeletePlugin({ plugin }: { plugin: Plugin }) {
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const [typed, setTyped] = useState('');
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const remove = useMutation({
    mutationFn: () =>
      answer(
        api.DELETE('/api/guilds/{guild_id}/plugins/{plugin_id}', {
          params: { path, header: { 'if-match': plugin.etag } },
        }),
      ),
    onSuccess: () => {
      announce(`${plugin.name} is deleted.`);
      navigate(`/guilds/${plugin.guild_id}`, { replace: true });
      queryClient.removeQueries({ queryKey: keys.plugin(path) });
      void queryClient.invalidateQueries({ queryKey: keys.guild(plugin.guild_id) });
    },
    onError: () => queryClient.invalidateQueries({ queryKey: keys.plugin(path) }),
  });
  const close = () => {
    remove.reset();
    setTyped('');
    setOpen(false);
  };
  return (
    <>
      <Button kind="danger" onPress={() => setOpen(true)}>
        Delete this plugin …
      </Button>
      <Dialog title={`Delete ${plugin.name}?`} role="alertdialog" isOpen={isOpen} onClose={close}>
        <form
          className="form"
          onSubmit={(event) => {
            event.preventDefault();
            if (typed === plugin.name) remove.mutate();
          }}
        >
          <p>
            {sentence(
              `its ${count(plugin.secrets.length, 'secret')}, its state and its runs are deleted with it, and cannot be restored`,
            )}
          </p>
          {remove.error && <ProblemNotice problem={asProblem(remove.error)} />}
          <TextField
            label={`Type the name of the plugin, ${plugin.name}, to confirm`}
            autoComplete="off"
            autoFocus
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
          <DialogActions>
            <Button onPress={close}>Keep it</Button>
            <Button kind="danger" type="submit" isDisabled={typed !== plugin.name} isPending={remove.isPending}>
              Delete
            </Button>
          </DialogActions>
        </form>
      </Dialog>
    </>
  );
}
