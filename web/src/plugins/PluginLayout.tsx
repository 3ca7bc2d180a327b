import { useQuery } from '@tanstack/react-query';
import { Suspense } from 'react';
import { Outlet, useOutletContext, useParams } from 'react-router';
import { guildQuery, pluginQuery } from '../api/queries';
import type { Guild, Plugin } from '../api/types';
import { Crumbs } from '../shell/Crumbs';
import { Loaded } from '../shell/Loaded';
import { PageTabs } from '../shell/PageTabs';
import { Badge } from '../ui/Badge';
import { Loading } from '../ui/Loading';
import { StateBadge } from './PluginListPage';

const TABS = [
  { to: '', label: 'Overview' },
  { to: 'versions', label: 'Versions' },
  { to: 'settings', label: 'Settings' },
  { to: 'permissions', label: 'Permissions' },
  { to: 'runs', label: 'Runs' },
  { to: 'test', label: 'Test' },
  { to: 'charts', label: 'Charts' },
];

interface Context {
  guild: Guild;
  plugin: Plugin;
}

export function PluginLayout() {
  const { guildId = '', pluginId = '' } = useParams();
  const guildQ = useQuery(guildQuery(guildId));
  const pluginQ = useQuery(pluginQuery({ guild_id: guildId, plugin_id: pluginId }));
  const query = {
    data: guildQ.data && pluginQ.data && { guild: guildQ.data, plugin: pluginQ.data },
    error: guildQ.error ?? pluginQ.error,
    isFetching: guildQ.isFetching || pluginQ.isFetching,
    refetch: () => Promise.all([guildQ.refetch(), pluginQ.refetch()]),
  };
  return (
    <div className="page">
      <Loaded<Context> query={query} what="the plugin">
        {({ guild, plugin }) => (
          <>
            <Crumbs
              steps={[
                { to: '/', label: 'Guilds' },
                { to: `/guilds/${guild.id}`, label: guild.name },
              ]}
            />
            <div className="name-row">
              <h1 className="name">{plugin.name}</h1>
              <StateBadge plugin={plugin} />
              {plugin.live && <span className="muted">version {plugin.live.number}</span>}
              {plugin.shadow !== null && <Badge tone="info">shadow: version {plugin.shadow}</Badge>}
            </div>
            <PageTabs label="Plugin" below={`/guilds/${guild.id}/plugins/${plugin.id}`} tabs={TABS} />
            <Suspense fallback={<Loading what="the page" />}>
              <Outlet context={{ guild, plugin } satisfies Context} />
            </Suspense>
          </>
        )}
      </Loaded>
    </div>
  );
}

export function usePlugin(): Context {
  return useOutletContext<Context>();
}
