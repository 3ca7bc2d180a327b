import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { runQuery } from '../api/queries';
import type { Run } from '../api/types';
import { usePlugin } from '../plugins/PluginLayout';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Badge } from '../ui/Badge';
import { Button } from '../ui/Button';
import { JsonText } from '../ui/JsonText';
import { Scrollable } from '../ui/Scrollable';
import { Time } from '../ui/Time';
import { ReplayDialog } from './ReplayDialog';
import { Result } from './Result';

export function RunPage() {
  const { plugin } = usePlugin();
  const { runId = '' } = useParams();
  const query = useQuery(runQuery({ guild_id: plugin.guild_id, plugin_id: plugin.id }, runId));
  return (
    <>
      <p>
        <Link to="../runs" relative="path">
          All runs
        </Link>
      </p>
      <Loaded query={query} what="the run">
        {(run) => <Details run={run} />}
      </Loaded>
    </>
  );
}

function Details({ run }: { run: Run }) {
  const { guild, plugin } = usePlugin();
  const [isReplaying, setReplaying] = useState(false);
  return (
    <>
      <div className="toolbar">
        <PageHeading title={['Run', plugin.name]} level={2}>
          Run of <Time at={run.created_at} isWhole />
        </PageHeading>
        <Button onPress={() => setReplaying(true)}>Replay …</Button>
      </div>
      {run.shadow && (
        <p>
          <Badge tone="info">shadow</Badge> This run was made beside the live version, and sent nothing.
        </p>
      )}
      <Result run={run}>
        <div>
          <dt>Version</dt>
          <dd>{run.version ?? '–'}</dd>
        </div>
        <div>
          <dt>Message</dt>
          <dd>
            <code>{run.message_id}</code>
          </dd>
        </div>
      </Result>
      <section>
        <h3>Message that it got</h3>
        {run.message ? (
          <Scrollable label="Message that it got">
            <pre className="log">
              <JsonText text={JSON.stringify(run.message, null, 2)} />
            </pre>
          </Scrollable>
        ) : (
          <p className="muted">
            This guild does not keep messages with runs. <Link to={`/guilds/${guild.id}/settings`}>Switch that on</Link>{' '}
            to see messages here, and to replay runs as they were.
          </p>
        )}
      </section>
      {isReplaying && <ReplayDialog run={run} onClose={() => setReplaying(false)} />}
    </>
  );
}
