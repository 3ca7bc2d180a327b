import { useQuery } from '@tanstack/react-query';
import { Suspense } from 'react';
import { Outlet, useOutletContext, useParams } from 'react-router';
import { guildQuery } from '../api/queries';
import type { Guild } from '../api/types';
import { Crumbs } from '../shell/Crumbs';
import { Loaded } from '../shell/Loaded';
import { PageTabs } from '../shell/PageTabs';
import { Loading } from '../ui/Loading';
import { Written } from '../ui/Written';

const TABS = [
  { to: '', label: 'Plugins' },
  { to: 'settings', label: 'Guild settings' },
  { to: 'audit', label: 'Audit log' },
];

export function GuildLayout() {
  const { guildId = '' } = useParams();
  const query = useQuery(guildQuery(guildId));
  return (
    <div className="page">
      <Loaded query={query} what="the guild">
        {(guild) => (
          <>
            <Crumbs steps={[{ to: '/', label: 'Guilds' }]} />
            <h1 className="name">{guild.name}</h1>
            {guild.paused !== null && (
              <div className="notice notice-warn">
                <p className="notice-title">
                  Paused by the operator: <Written text={guild.paused} />
                </p>
                <p>The plugins get no messages for now. Messages of the pause wait, and are answered later.</p>
              </div>
            )}
            <PageTabs label="Guild" below={`/guilds/${guild.id}`} tabs={TABS} />
            <Suspense fallback={<Loading what="the page" />}>
              <Outlet context={guild} />
            </Suspense>
          </>
        )}
      </Loaded>
    </div>
  );
}

export function useGuild(): Guild {
  return useOutletContext<Guild>();
}
