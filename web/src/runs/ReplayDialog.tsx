import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { answer, api } from '../api/client';
import { asProblem } from '../api/problem';
import { versionsQuery } from '../api/queries';
import type { Run } from '../api/types';
import { usePlugin } from '../plugins/PluginLayout';
import { announce } from '../shell/announce';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { Choice, TextArea } from '../ui/Field';
import { ProblemNotice } from '../ui/ProblemNotice';
import { OUTCOMES } from '../words/names';
import { Result } from './Result';
import { VersionOptions } from './VersionOptions';

export function ReplayDialog({ run, onClose }: { run: Run; onClose: () => void }) {
  const { plugin } = usePlugin();
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const versions = (useQuery(versionsQuery(path)).data?.items ?? []).filter((version) => version.state === 'ready');
  const [chosen, setChosen] = useState<number | null>(null);
  const [content, setContent] = useState('');
  const version = chosen ?? versions[0]?.number;
  const replay = useMutation({
    mutationFn: (number: number) =>
      answer(
        api.POST('/api/guilds/{guild_id}/plugins/{plugin_id}/runs/{run_id}/replay', {
          params: { path: { ...path, run_id: run.id } },
          body: { version: number, message: run.message ? null : { content } },
        }),
      ),
    onSuccess: (result) => announce(`Replayed on version ${result.version}: ${OUTCOMES[result.outcome].name}.`),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (version !== undefined) replay.mutate(version);
  };
  return (
    <Dialog title="Replay this run" isOpen isWide onClose={onClose}>
      <form className="form" onSubmit={submit}>
        <p className="muted">
          The replay runs in the real sandbox with the same message, time and random numbers. Nothing is sent, and the
          state is not changed.
        </p>
        {versions.length === 0 ? (
          <p className="notice notice-warn">No version is ready to run. Upload a version first.</p>
        ) : (
          <Choice label="On version" value={version ?? ''} onChange={(event) => setChosen(Number(event.target.value))}>
            <VersionOptions versions={versions} />
          </Choice>
        )}
        {!run.message && (
          <TextArea
            label="Message"
            required
            maxLength={4_000}
            value={content}
            hint="This guild does not keep messages with runs, so type the text of the message."
            onChange={(event) => setContent(event.target.value)}
          />
        )}
        {replay.error && <ProblemNotice problem={asProblem(replay.error)} />}
        {replay.data && (
          <>
            <h3>On version {replay.data.version}</h3>
            <Result run={replay.data} />
          </>
        )}
        <DialogActions>
          <Button onPress={onClose}>Close</Button>
          <Button kind="primary" type="submit" isDisabled={version === undefined} isPending={replay.isPending}>
            Replay
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
