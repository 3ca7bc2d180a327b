import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { pluginsQuery, usageQuery } from '../api/queries';
import type { Plugin } from '../api/types';
import { useGuild } from '../guilds/GuildLayout';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Badge } from '../ui/Badge';
import { Button } from '../ui/Button';
import { Empty } from '../ui/Empty';
import { More } from '../ui/More';
import { Time } from '../ui/Time';
import { count, whole } from '../words/format';
import { NewPluginDialog } from './NewPluginDialog';
import { Sparkline } from './Sparkline';
import { today } from './today';

export function PluginListPage() {
  const guild = useGuild();
  const query = useInfiniteQuery(pluginsQuery(guild.id));
  const [isNew, setNew] = useState(false);
  const isFull = guild.plugins >= guild.plugins_limit;
  return (
    <>
      <div className="toolbar">
        <PageHeading title={['Plugins', guild.name]} level={2}>
          Plugins
        </PageHeading>
        <Button kind="primary" onPress={() => setNew(true)} isDisabled={isFull}>
          Create a plugin
        </Button>
      </div>
      {isFull && (
        <p className="notice notice-warn">
          This guild has reached its limit of {count(guild.plugins_limit, 'plugin')}. Delete a plugin to make room.
        </p>
      )}
      <Loaded query={query} what="the plugins">
        {({ pages }) => {
          const plugins = pages.flatMap((page) => page.items);
          if (plugins.length === 0) {
            return (
              <Empty title="Upload your first plugin">
                <ol className="steps">
                  <li>
                    Build a plugin, which is a WebAssembly component:{' '}
                    <Link to="/guilds/help">see how in C, Rust, Python or JavaScript</Link>.
                  </li>
                  <li>Press “Create a plugin”, give it a name, and upload its file.</li>
                  <li>Check which permissions it needs, and let it go live.</li>
                </ol>
                <Button kind="primary" onPress={() => setNew(true)}>
                  Create a plugin
                </Button>
              </Empty>
            );
          }
          return (
            <>
              <ul className="plugins">
                {plugins.map((plugin) => (
                  <li key={plugin.id}>
                    <PluginRow plugin={plugin} />
                  </li>
                ))}
              </ul>
              <More query={query} what="Show more plugins" />
            </>
          );
        }}
      </Loaded>
      <NewPluginDialog guildId={guild.id} isOpen={isNew} onClose={() => setNew(false)} />
    </>
  );
}

function PluginRow({ plugin }: { plugin: Plugin }) {
  const { live, latest, quarantine, shadow } = plugin;
  return (
    <article className="plugin">
      <div className="plugin-name">
        <Link to={`/guilds/${plugin.guild_id}/plugins/${plugin.id}`} className="cover">
          {plugin.name}
        </Link>
        {plugin.description && <p className="muted one-line">{plugin.description}</p>}
        {quarantine && (
          <p className="bad-text">
            {quarantine.reason}; it is tried again <Time at={quarantine.retry_at} />
          </p>
        )}
      </div>
      <div className="plugin-state">
        <StateBadge plugin={plugin} />
        {live && <span className="muted">version {live.number}</span>}
        {shadow !== null && <Badge tone="info">shadow {shadow}</Badge>}
        {latest && latest.id !== live?.id && latest.state === 'refused' && (
          <Badge tone="bad">version {latest.number} refused</Badge>
        )}
        {latest &&
          latest.number > (live?.number ?? 0) &&
          latest.state === 'ready' &&
          latest.number !== shadow &&
          live && <Badge tone="quiet">version {latest.number} ready</Badge>}
      </div>
      <RunsOfToday plugin={plugin} />
    </article>
  );
}

export function StateBadge({ plugin }: { plugin: Plugin }) {
  if (!plugin.enabled) return <Badge tone="quiet">disabled</Badge>;
  if (plugin.quarantine) return <Badge tone="bad">quarantined</Badge>;
  if (!plugin.live) return <Badge tone="warn">not live</Badge>;
  return <Badge tone="good">live</Badge>;
}

function RunsOfToday({ plugin }: { plugin: Plugin }) {
  const { data } = useQuery(usageQuery({ guild_id: plugin.guild_id, plugin_id: plugin.id }, 24));
  const { hours, runs, failed } = today(data?.items ?? [], new Date());
  return (
    <div className="plugin-runs">
      <Sparkline hours={hours} />
      <span>
        {data ? whole(runs) : '–'} <span className="muted">{runs === 1 ? 'run' : 'runs'} in 24 h</span>
        {failed > 0 && <span className="bad-text">, {whole(failed)} failed</span>}
      </span>
    </div>
  );
}
