import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'react-router';
import { answer, api } from '../api/client';
import { asProblem } from '../api/problem';
import { isUnfinished, keys, pluginQuery, versionsQuery } from '../api/queries';
import type { Plugin, Version } from '../api/types';
import { ChangeNotices } from '../plugins/ChangeNotices';
import { type PluginChanges, usePluginChange } from '../plugins/change';
import { usePlugin } from '../plugins/PluginLayout';
import { announce } from '../shell/announce';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Badge } from '../ui/Badge';
import { Button } from '../ui/Button';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Time } from '../ui/Time';
import { Written } from '../ui/Written';
import { bytes, list } from '../words/format';
import { permission, STATES } from '../words/names';
import { GoLiveDialog } from './GoLiveDialog';
import { RollBackDialog } from './RollBackDialog';
import { UploadBox } from './UploadBox';

export function VersionsPage() {
  const { plugin } = usePlugin();
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const query = useQuery(versionsQuery(path));
  const changes = usePluginChange(plugin);
  const [going, setGoing] = useState<Version | null>(null);
  const [isRollingBack, setRollingBack] = useState(false);
  const versions = query.data?.items ?? [];
  useSayStates(versions);
  useRenewPlugin(plugin, versions);
  return (
    <>
      <div className="toolbar">
        <PageHeading title={['Versions', plugin.name]} level={2}>
          Versions
        </PageHeading>
        {plugin.previous !== null && (
          <Button onPress={() => setRollingBack(true)}>Roll back to version {plugin.previous} …</Button>
        )}
      </div>
      <UploadBox path={path} isFirst={query.data?.items.length === 0} />
      <ChangeNotices changes={changes} />
      <Loaded query={query} what="the versions">
        {({ items }) =>
          items.length > 0 && (
            <ul className="versions">
              {items.map((version) => (
                <li key={version.id}>
                  <VersionCard plugin={plugin} version={version} changes={changes} onGoLive={() => setGoing(version)} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {going && (
        <GoLiveDialog
          plugin={plugin}
          version={versions.find((version) => version.id === going.id) ?? going}
          onClose={() => setGoing(null)}
        />
      )}
      {isRollingBack && <RollBackDialog plugin={plugin} onClose={() => setRollingBack(false)} />}
    </>
  );
}

interface CardProps {
  plugin: Plugin;
  version: Version;
  changes: PluginChanges;
  onGoLive: () => void;
}

function VersionCard({ plugin, version, changes, onGoLive }: CardProps) {
  const state = STATES[version.state];
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const isReady = version.state === 'ready';
  const isGivenUp = version.failure?.next_try_at === null;
  const setShadow = (number: number | null) =>
    changes.submit({
      what: number === null ? 'end the shadow' : `let version ${number} run as a shadow`,
      done: number === null ? 'The shadow has ended.' : `Version ${number} runs as a shadow, and sends nothing.`,
      send: (etag) =>
        answer(
          api.PUT('/api/guilds/{guild_id}/plugins/{plugin_id}/shadow', {
            params: { path, header: { 'if-match': etag } },
            body: { version: number },
          }),
        ),
    });
  return (
    <article className="card version" aria-label={`Version ${version.number}`}>
      <div className="version-about">
        <div className="version-head">
          <h3>Version {version.number}</h3>
          {version.live ? (
            <Badge tone="good">live</Badge>
          ) : (
            <Badge tone={state.tone}>
              {isUnfinished(version.state) && !isGivenUp && <span className="spinner" aria-hidden="true" />}
              {state.name}
            </Badge>
          )}
          {version.shadow && <Badge tone="info">shadow</Badge>}
          <span className="muted">
            <Time at={version.created_at} />, {bytes(version.wasm_bytes)}
          </span>
        </div>
        {isUnfinished(version.state) && <Steps state={version.state} />}
        {version.failure && <FailureNotice plugin={plugin} version={version} failure={version.failure} />}
        {version.state === 'expected' && (
          <p className="muted">
            The file of this version has not arrived. If its upload was cancelled, delete this version and upload the
            file again.
          </p>
        )}
        {version.state === 'refused' && (
          <div className="notice notice-bad">
            <p className="notice-title">guildhook cannot run this version</p>
            <WrittenList texts={version.reasons} />
          </div>
        )}
        {version.warnings.length > 0 && (
          <div className="notice notice-warn">
            <p className="notice-title">This version can run, but its build has a fault</p>
            <WrittenList texts={version.warnings} />
          </div>
        )}
        {isReady && (
          <p className="muted">
            {version.needs.length === 0
              ? 'It needs no permission.'
              : `It needs these permissions: ${list(version.needs.map((each) => permission(each).name.toLowerCase()))}.`}{' '}
            {version.settings_schema && 'It has a form for its settings. '}
            <span className="digest" title={version.wasm_sha256}>
              SHA-256 {version.wasm_sha256.slice(0, 12)}…
            </span>
          </p>
        )}
      </div>
      <div className="actions">
        {isReady && !version.live && (
          <Button kind="primary" onPress={onGoLive} aria-label={`Let version ${version.number} go live`}>
            Go live …
          </Button>
        )}
        {isReady && (
          <Link className="button button-plain" to={`../test?version=${version.number}`} relative="path">
            Test
          </Link>
        )}
        {isReady &&
          !version.live &&
          (version.shadow ? (
            <Button onPress={() => setShadow(null)} isPending={changes.pending === 'end the shadow'}>
              End the shadow
            </Button>
          ) : (
            <Button
              onPress={() => setShadow(version.number)}
              isPending={changes.pending === `let version ${version.number} run as a shadow`}
            >
              Run as a shadow
            </Button>
          ))}
        {version.shadow && (
          <Link className="button button-quiet" to="../runs?shadow=true" relative="path">
            See its runs
          </Link>
        )}
        {!version.live &&
          !version.shadow &&
          (!isUnfinished(version.state) || isGivenUp) &&
          version.number !== plugin.previous && <DeleteVersion plugin={plugin} version={version} />}
      </div>
    </article>
  );
}

function WrittenList({ texts }: { texts: readonly string[] }) {
  return (
    <ul>
      {texts.map((text) => (
        <li key={text}>
          <Written text={text} />
        </li>
      ))}
    </ul>
  );
}

const STEPS = ['uploaded', 'checking', 'compiling', 'ready'] as const;

function Steps({ state }: { state: Version['state'] }) {
  const at = STEPS.indexOf(state as (typeof STEPS)[number]);
  return (
    <ol className="progress-steps" aria-label="Progress of the check">
      {STEPS.map((step, index) => (
        <li key={step} className={index <= at ? 'done' : undefined} aria-current={index === at ? 'step' : undefined}>
          {STATES[step].name}
        </li>
      ))}
    </ol>
  );
}

interface FailureProps {
  plugin: Plugin;
  version: Version;
  failure: NonNullable<Version['failure']>;
}

/** Says that guildhook, and not the plugin, is the reason why the version is not compiled. */
function FailureNotice({ plugin, version, failure }: FailureProps) {
  const queryClient = useQueryClient();
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const tryAgain = useMutation({
    mutationFn: () =>
      answer(
        api.POST('/api/guilds/{guild_id}/plugins/{plugin_id}/versions/{number}/try-again', {
          params: { path: { ...path, number: version.number } },
        }),
      ),
    onSuccess: () => {
      announce(`Version ${version.number} is compiled again.`);
      void queryClient.invalidateQueries({ queryKey: keys.plugin(path) });
    },
  });
  const isGivenUp = failure.next_try_at === null;
  return (
    <div className="notice notice-warn">
      <p className="notice-title">
        {isGivenUp ? 'This version could not be compiled yet' : 'Compiling this version failed, and is tried again'}
      </p>
      <p>
        <Written text={failure.reason} />. The plugin is not the reason, and nothing is counted against it.
      </p>
      {isGivenUp && (
        <Button
          isPending={tryAgain.isPending}
          onPress={() => tryAgain.mutate()}
          aria-label={`Try again to compile version ${version.number}`}
        >
          Try again
        </Button>
      )}
      {tryAgain.error && <ProblemNotice problem={asProblem(tryAgain.error)} />}
    </div>
  );
}

function DeleteVersion({ plugin, version }: { plugin: Plugin; version: Version }) {
  const queryClient = useQueryClient();
  const [isSure, setSure] = useState(false);
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const remove = useMutation({
    mutationFn: () =>
      answer(
        api.DELETE('/api/guilds/{guild_id}/plugins/{plugin_id}/versions/{number}', {
          params: { path: { ...path, number: version.number } },
        }),
      ),
    onSuccess: () => {
      announce(`Version ${version.number} is deleted.`);
      void queryClient.invalidateQueries({ queryKey: keys.plugin(path) });
    },
  });
  return (
    <>
      <Button
        kind="quiet"
        isPending={remove.isPending}
        onPress={() => (isSure ? remove.mutate() : setSure(true))}
        onBlur={() => setSure(false)}
        aria-label={isSure ? `Really delete version ${version.number}` : `Delete version ${version.number}`}
      >
        {isSure ? 'Really delete?' : 'Delete'}
      </Button>
      {remove.error && <ProblemNotice problem={asProblem(remove.error)} />}
    </>
  );
}

/** Announces each new state of an upload while the admin waits for it. */
function useSayStates(versions: readonly Version[]): void {
  const known = useRef(new Map<string, Version['state']>());
  useEffect(() => {
    for (const version of versions) {
      const before = known.current.get(version.id);
      known.current.set(version.id, version.state);
      if (before && before !== version.state) {
        const found = version.state === 'refused' ? version.reasons : version.state === 'ready' ? version.warnings : [];
        const said = [`Version ${version.number}: ${STATES[version.state].name}`, ...found];
        announce(said.map((each) => `${each}.`).join(' '));
      }
    }
  }, [versions]);
}

/** Reads the plugin again when its newest version has a new state, since the plugin contains that version. */
function useRenewPlugin(plugin: Plugin, versions: readonly Version[]): void {
  const queryClient = useQueryClient();
  const newest = versions[0];
  const isStale = newest !== undefined && newest.state !== plugin.latest?.state;
  const state = newest?.state;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each state of the newest version
  useEffect(() => {
    if (isStale) {
      const { queryKey } = pluginQuery({ guild_id: plugin.guild_id, plugin_id: plugin.id });
      void queryClient.invalidateQueries({ queryKey });
    }
  }, [state]);
}
