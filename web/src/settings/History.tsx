import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { answer, api } from '../api/client';
import { settingsVersionQuery, settingsVersionsQuery } from '../api/queries';
import type { Plugin, SettingsVersionSummary } from '../api/types';
import { ChangeNotices } from '../plugins/ChangeNotices';
import { usePluginChange } from '../plugins/change';
import { Loaded } from '../shell/Loaded';
import { Badge } from '../ui/Badge';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { JsonText } from '../ui/JsonText';
import { More } from '../ui/More';
import { Scrollable } from '../ui/Scrollable';
import { Time } from '../ui/Time';
import { Written } from '../ui/Written';
import { list, wholeTime } from '../words/format';
import { Differences, Withheld } from './Differences';
import { pretty } from './dialect';

interface Props {
  plugin: Plugin;
  /** True if the page has settings that are not saved. */
  hasDraft: boolean;
}

/** The settings that the plugin has had, with the person and the time of each save. */
export function History({ plugin, hasDraft }: Props) {
  const query = useInfiniteQuery(settingsVersionsQuery({ guild_id: plugin.guild_id, plugin_id: plugin.id }));
  const [open, setOpen] = useState<SettingsVersionSummary | null>(null);
  return (
    <section className="section" aria-labelledby="history-heading">
      <h3 id="history-heading">History</h3>
      <p className="muted">
        Every time the settings are saved, they are kept here. You can look at earlier settings and bring them back. The
        oldest are deleted when there are too many.
      </p>
      <Loaded query={query} what="the history">
        {({ pages }) => (
          <>
            <ol className="saves">
              {pages
                .flatMap((page) => page.items)
                .map((save) => (
                  <li key={save.number} className="save">
                    <div>
                      <Author save={save} /> <Time at={save.saved_at} />{' '}
                      {save.current && <Badge tone="good">in use</Badge>}{' '}
                      {save.for_roll_back && !save.current && <Badge tone="info">comes back with a roll-back</Badge>}
                      <p className="muted">
                        {save.version !== null && <>Version {save.version} was live. </>}
                        <Standing save={save} />
                      </p>
                    </div>
                    <Button onPress={() => setOpen(save)}>Look at number {save.number} …</Button>
                  </li>
                ))}
            </ol>
            <More query={query} what="Show older settings" />
          </>
        )}
      </Loaded>
      {open && <SaveDialog plugin={plugin} save={open} hasDraft={hasDraft} onClose={() => setOpen(null)} />}
    </section>
  );
}

function Author({ save }: { save: SettingsVersionSummary }) {
  if (save.actor_name !== null) {
    return (
      <strong title={save.actor_id ?? undefined}>
        <Written text={save.actor_name} />
      </strong>
    );
  }
  if (save.database_role !== null) {
    return (
      <>
        <strong>Written into the database</strong> by <Written text={save.database_role} />
      </>
    );
  }
  return <strong>It is not known who saved these</strong>;
}

function Standing({ save }: { save: SettingsVersionSummary }) {
  if (!save.kept) return 'These settings were too large to be kept.';
  if (save.differs.length === 0) return 'They are the same as now.';
  const [shown, others] = [save.differs.slice(0, 5), save.differs.length - 5];
  return (
    <>
      They differ from now in <Written text={list(others > 0 ? [...shown, `${others} more`] : shown)} />.
    </>
  );
}

function SaveDialog({
  plugin,
  save,
  hasDraft,
  onClose,
}: Props & { save: SettingsVersionSummary; onClose: () => void }) {
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const query = useQuery(settingsVersionQuery(path, save.number));
  const changes = usePluginChange(plugin);
  const restore = () =>
    changes.submit({
      what: 'restore earlier settings',
      done: 'The earlier settings are restored.',
      send: async (etag) => {
        const changed = await answer(
          api.POST('/api/guilds/{guild_id}/plugins/{plugin_id}/settings-versions/{number}/restore', {
            params: { path: { ...path, number: save.number }, header: { 'if-match': etag } },
          }),
        );
        onClose();
        return changed;
      },
    });
  return (
    <Dialog title={`Settings number ${save.number}, saved ${wholeTime(save.saved_at)}`} isOpen isWide onClose={onClose}>
      <Loaded query={query} what="the settings">
        {({ settings, differences, withheld, current }) => (
          <>
            {settings === null && (
              <p>These settings were too large to be kept. It is only known when they were saved, and by whom.</p>
            )}
            {settings !== null && differences.length === 0 && <p>These settings are the same as the current ones.</p>}
            {differences.length > 0 && <p>If you restore these settings, the following ones change:</p>}
            <Differences differences={differences} then="Restored" />
            <Withheld names={withheld} secrets={plugin.secrets.map((secret) => secret.name)} />
            {settings !== null && (
              <details className="details">
                <summary>All settings of this time</summary>
                <Scrollable label="All settings of this time">
                  <pre className="log">
                    <JsonText text={pretty(settings)} />
                  </pre>
                </Scrollable>
              </details>
            )}
            <ChangeNotices changes={changes} />
            {hasDraft && differences.length > 0 && (
              <p className="notice notice-warn">
                This page has settings that you have not saved. Save or discard them before you restore others.
              </p>
            )}
            <DialogActions>
              <Button onPress={onClose}>Close</Button>
              {!current && differences.length > 0 && (
                <Button kind="primary" isDisabled={hasDraft} isPending={changes.isPending} onPress={restore}>
                  Restore these settings
                </Button>
              )}
            </DialogActions>
          </>
        )}
      </Loaded>
    </Dialog>
  );
}
