import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { answer, api } from './client';
import type { Outcome, VersionState } from './types';

const LIVE_MS = 4_000;
const UNFINISHED_MS = 1_500;
/** The time after which data that others may change is read again. */
const OTHERS_MS = 15_000;
/** The largest page that the API returns. */
const MAX_PAGE = 100;

export interface RunFilters {
  outcome?: Outcome;
  version?: number;
  shadow?: boolean;
  message_id?: string;
}

export interface PluginPath {
  guild_id: string;
  plugin_id: string;
}

/** True if the state of a version will change by itself. */
export function isUnfinished(state: VersionState): boolean {
  return state === 'uploaded' || state === 'checking' || state === 'compiling';
}

export const keys = {
  guild: (guildId: string) => ['guild', guildId] as const,
  plugins: (guildId: string) => ['guild', guildId, 'plugins'] as const,
  plugin: ({ guild_id, plugin_id }: PluginPath) => ['guild', guild_id, 'plugin', plugin_id] as const,
  settingsVersions: ({ guild_id, plugin_id }: PluginPath) =>
    ['guild', guild_id, 'plugin', plugin_id, 'settings-versions'] as const,
};

export const guildsQuery = queryOptions({
  queryKey: ['guilds'],
  queryFn: ({ signal }) => answer(api.GET('/api/guilds', { signal })),
});

export const guildQuery = (guildId: string) =>
  queryOptions({
    queryKey: [...keys.guild(guildId), 'itself'],
    queryFn: ({ signal }) =>
      answer(api.GET('/api/guilds/{guild_id}', { params: { path: { guild_id: guildId } }, signal })),
    refetchInterval: OTHERS_MS,
  });

export const pluginsQuery = (guildId: string) =>
  infiniteQueryOptions({
    queryKey: keys.plugins(guildId),
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins', {
          params: { path: { guild_id: guildId }, query: { cursor: pageParam, limit: MAX_PAGE } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 30_000,
  });

export const pluginQuery = (path: PluginPath) =>
  queryOptions({
    queryKey: [...keys.plugin(path), 'itself'],
    queryFn: ({ signal }) =>
      answer(api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}', { params: { path }, signal })),
    refetchInterval: OTHERS_MS,
  });

export const versionsQuery = (path: PluginPath) =>
  queryOptions({
    queryKey: [...keys.plugin(path), 'versions'],
    queryFn: ({ signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/versions', {
          // A plugin has fewer versions than fit on a page.
          params: { path, query: { limit: MAX_PAGE } },
          signal,
        }),
      ),
    refetchInterval: (query) => {
      const states = query.state.data?.items.map((version) => version.state) ?? [];
      if (states.some(isUnfinished)) return UNFINISHED_MS;
      // A file may arrive from elsewhere, so the list is read again.
      return states.includes('expected') ? LIVE_MS : OTHERS_MS;
    },
  });

export const settingsVersionsQuery = (path: PluginPath) =>
  infiniteQueryOptions({
    queryKey: [...keys.settingsVersions(path), 'list'],
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/settings-versions', {
          params: { path, query: { cursor: pageParam, limit: 10 } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) <= 1 ? OTHERS_MS : false),
  });

export const settingsVersionQuery = (path: PluginPath, number: number) =>
  queryOptions({
    queryKey: [...keys.settingsVersions(path), number],
    queryFn: ({ signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/settings-versions/{number}', {
          params: { path: { ...path, number } },
          signal,
        }),
      ),
  });

export const rollBackQuery = (path: PluginPath) =>
  queryOptions({
    queryKey: [...keys.settingsVersions(path), 'roll-back'],
    queryFn: ({ signal }) =>
      answer(api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/roll-back', { params: { path }, signal })),
  });

export const runsQuery = (path: PluginPath, filters: RunFilters, live: boolean) =>
  infiniteQueryOptions({
    queryKey: [...keys.plugin(path), 'runs', filters],
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/runs', {
          params: { path, query: { ...filters, cursor: pageParam, limit: 50 } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    // Only the first page is refreshed, so that older pages do not move while somebody reads them.
    refetchInterval: (query) => (live && (query.state.data?.pages.length ?? 0) <= 1 ? LIVE_MS : false),
  });

export const runQuery = (path: PluginPath, runId: string) =>
  queryOptions({
    queryKey: [...keys.plugin(path), 'run', runId],
    queryFn: ({ signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/runs/{run_id}', {
          params: { path: { ...path, run_id: runId } },
          signal,
        }),
      ),
    // Pending messages may have been sent in the meantime.
    refetchInterval: (query) => (query.state.data?.sends.some((send) => send.state === 'pending') ? LIVE_MS : false),
  });

export const usageQuery = (path: PluginPath, hours: number) =>
  queryOptions({
    queryKey: [...keys.plugin(path), 'usage', hours],
    queryFn: ({ signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/usage', { params: { path, query: { hours } }, signal }),
      ),
    staleTime: 60_000,
    refetchInterval: 60_000,
  });

export const explanationQuery = (path: PluginPath, messageId: string) =>
  queryOptions({
    queryKey: [...keys.plugin(path), 'explanation', messageId],
    queryFn: ({ signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/plugins/{plugin_id}/explanations/{message_id}', {
          params: { path: { ...path, message_id: messageId } },
          signal,
        }),
      ),
    // The message may still be in the queue.
    refetchInterval: (query) => (query.state.data?.run == null ? OTHERS_MS : false),
  });

export const auditQuery = (guildId: string, pluginId?: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.guild(guildId), 'audit', pluginId ?? 'all'],
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/api/guilds/{guild_id}/audit', {
          params: { path: { guild_id: guildId }, query: { plugin_id: pluginId, cursor: pageParam, limit: 50 } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) <= 1 ? OTHERS_MS : false),
  });

/** The newest entry of the audit log for a plugin; null if there is none. */
export async function latestChange(guildId: string, pluginId?: string) {
  const page = await answer(
    api.GET('/api/guilds/{guild_id}/audit', {
      params: { path: { guild_id: guildId }, query: { plugin_id: pluginId, limit: 1 } },
    }),
  );
  return page.items[0] ?? null;
}
