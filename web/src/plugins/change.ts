import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answer, api } from '../api/client';
import { asProblem, ProblemError } from '../api/problem';
import { keys, latestChange, pluginQuery } from '../api/queries';
import type { AuditEntry, Plugin, PluginChange } from '../api/types';
import { announce } from '../shell/announce';

export interface Change {
  /** The change as a part of a sentence: "enable the plugin". */
  what: string;
  /** The ETag of the plugin that was changed, if it is older than the plugin that is shown. */
  etag?: string;
  /** True if others have changed only other parts in the meantime. */
  isElsewhere?: (theirs: Plugin) => boolean;
  /** The text to announce after the change. */
  done: string;
  send: (etag: string) => Promise<Plugin>;
}

export interface Conflict {
  change: Change;
  theirs: Plugin;
  /** The entry of the audit log; null if there is none. */
  by: AuditEntry | null;
}

/** Saves one change at a time. If somebody else changed the plugin first, nothing is saved and both changes are kept. */
export function usePluginChange(plugin: Plugin) {
  const queryClient = useQueryClient();
  const [conflict, setConflict] = useState<Conflict | null>(null);
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const query = pluginQuery(path);

  const mutation = useMutation<Plugin, Error, { change: Change; etag: string }>({
    mutationFn: async ({ change, etag }) => {
      try {
        return await change.send(etag);
      } catch (error) {
        if (!change.isElsewhere || !(error instanceof ProblemError) || !error.changedMeanwhile) throw error;
        const theirs = await queryClient.fetchQuery({ ...query, staleTime: 0 });
        if (!change.isElsewhere(theirs)) throw error;
        return change.send(theirs.etag);
      }
    },
    onSuccess: (changed, { change }) => {
      setConflict(null);
      queryClient.setQueryData(query.queryKey, changed);
      announce(change.done);
      void queryClient.invalidateQueries({ queryKey: [...keys.plugin(path), 'versions'] });
      void queryClient.invalidateQueries({ queryKey: keys.settingsVersions(path) });
      void queryClient.invalidateQueries({ queryKey: keys.plugins(path.guild_id) });
      void queryClient.invalidateQueries({ queryKey: [...keys.guild(path.guild_id), 'audit'] });
    },
    onError: async (error, { change }) => {
      if (!(error instanceof ProblemError) || !error.changedMeanwhile) return;
      const [theirs, by] = await Promise.all([
        queryClient.fetchQuery({ ...query, staleTime: 0 }),
        latestChange(path.guild_id, path.plugin_id).catch(() => null),
      ]);
      setConflict({ change, theirs, by });
    },
  });

  const failed = mutation.error && asProblem(mutation.error);
  return {
    submit: (change: Change) =>
      mutation.mutateAsync({ change, etag: change.etag ?? plugin.etag }).then(nothing, nothing),
    submitOver: ({ change, theirs }: Conflict) =>
      mutation.mutateAsync({ change, etag: theirs.etag }).then(nothing, nothing),
    dropConflict: () => {
      setConflict(null);
      mutation.reset();
    },
    dropProblem: mutation.reset,
    conflict,
    problem: failed && !failed.changedMeanwhile ? failed : null,
    isPending: mutation.isPending,
    /** The change that is being saved. */
    pending: mutation.isPending ? mutation.variables.change.what : null,
  };
}

export type PluginChanges = ReturnType<typeof usePluginChange>;

export function patch(plugin: Plugin, body: PluginChange): Change['send'] {
  return (etag) =>
    answer(
      api.PATCH('/api/guilds/{guild_id}/plugins/{plugin_id}', {
        params: { path: { guild_id: plugin.guild_id, plugin_id: plugin.id }, header: { 'if-match': etag } },
        body,
      }),
    );
}

function nothing(): void {
  // The mutation keeps its own result.
}
