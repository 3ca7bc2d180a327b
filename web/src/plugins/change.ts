import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answer, api } from '../api/client';
import { asProblem, ProblemError } from '../api/problem';
import { keys, latestChange, pluginQuery } from '../api/queries';
import type { AuditEntry, Plugin, PluginChange } from '../api/types';
import { announce } from '../shell/announce';

export interface Change {
  /** What it is, as part of a sentence: "enable the plugin". */
  what: string;
  /** Of the plugin that it is a change of, if that is older than the one that is shown. */
  etag?: string;
  /** Whether what others have changed meanwhile is something else. */
  isElsewhere?: (theirs: Plugin) => boolean;
  /** Said when it is done. */
  done: string;
  send: (etag: string) => Promise<Plugin>;
}

export interface Conflict {
  change: Change;
  theirs: Plugin;
  /** Null if the audit log does not say. */
  by: AuditEntry | null;
}

/** One change of a plugin at a time, on what is shown; if somebody else was first, nothing is changed and both are kept. */
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
    /** Which change is on its way. */
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
  // The mutation itself knows how it ended.
}
