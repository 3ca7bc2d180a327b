import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { auditQuery, pluginsQuery } from '../api/queries';
import type { AuditEntry } from '../api/types';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Empty } from '../ui/Empty';
import { Choice } from '../ui/Field';
import { More } from '../ui/More';
import { Time } from '../ui/Time';
import { Written } from '../ui/Written';
import { action, actionDetail } from '../words/names';
import { useGuild } from './GuildLayout';

export function AuditPage() {
  const guild = useGuild();
  const [search, setSearch] = useSearchParams();
  const pluginId = search.get('plugin') ?? undefined;
  const query = useInfiniteQuery(auditQuery(guild.id, pluginId));
  const plugins = useInfiniteQuery(pluginsQuery(guild.id)).data?.pages.flatMap((page) => page.items) ?? [];
  const names = new Map(plugins.map((plugin) => [plugin.id, plugin.name]));
  return (
    <>
      <div className="toolbar">
        <PageHeading title={['Audit log', guild.name]} level={2}>
          Audit log
        </PageHeading>
        <div className="filters">
          <Choice
            label="Plugin"
            isLabelHidden
            value={pluginId ?? ''}
            onChange={(event) => setSearch(event.target.value ? { plugin: event.target.value } : {}, { replace: true })}
          >
            <option value="">Whole guild</option>
            {plugins.map((plugin) => (
              <option key={plugin.id} value={plugin.id}>
                {plugin.name}
              </option>
            ))}
            {pluginId && !names.has(pluginId) && <option value={pluginId}>{pluginId}</option>}
          </Choice>
        </div>
      </div>
      <Loaded query={query} what="the audit log">
        {({ pages }) => {
          const entries = pages.flatMap((page) => page.items);
          if (entries.length === 0) {
            return (
              <Empty title="Nothing has changed yet">
                <p>Every change by an admin or the operator is listed with the person’s name and the time.</p>
              </Empty>
            );
          }
          return (
            <>
              <table className="table">
                <caption className="visually-hidden">Changes, the newest first</caption>
                <thead>
                  <tr>
                    <th scope="col">When</th>
                    <th scope="col">Who</th>
                    <th scope="col">Change</th>
                    <th scope="col">Plugin</th>
                    <th scope="col">Details</th>
                  </tr>
                </thead>
                <tbody>
                  {entries.map((entry) => (
                    <Entry key={entry.id} guildId={guild.id} entry={entry} names={names} />
                  ))}
                </tbody>
              </table>
              <More query={query} what="Show older changes" />
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function Entry({ guildId, entry, names }: { guildId: string; entry: AuditEntry; names: Map<string, string> }) {
  const { plugin_id: pluginId } = entry;
  const name = pluginId && names.get(pluginId);
  return (
    <tr>
      <td data-label="When">
        <Time at={entry.at} />
      </td>
      <td data-label="Who" title={entry.actor_id}>
        <Written text={entry.actor_name} />
        {entry.actor_kind === 'operator' && ' (operator)'}
      </td>
      <td data-label="Change">{action(entry.action)}</td>
      <td data-label="Plugin">
        {pluginId && name ? (
          <Link to={`/guilds/${guildId}/plugins/${pluginId}`}>{name}</Link>
        ) : (
          (pluginId?.slice(0, 8) ?? '–')
        )}
      </td>
      <td data-label="Details" className="detail">
        <Written text={actionDetail(entry.detail)} />
      </td>
    </tr>
  );
}
