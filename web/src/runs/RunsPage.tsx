import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { runsQuery, versionsQuery } from '../api/queries';
import type { RunSummary } from '../api/types';
import { usePlugin } from '../plugins/PluginLayout';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Button } from '../ui/Button';
import { Empty } from '../ui/Empty';
import { Choice, TextField } from '../ui/Field';
import { More } from '../ui/More';
import { Switch } from '../ui/Switch';
import { Time } from '../ui/Time';
import { Written } from '../ui/Written';
import { duration, share } from '../words/format';
import { OUTCOMES } from '../words/names';
import { filtersOf, messageId } from './filters';
import { OutcomeBadge } from './OutcomeBadge';

export function RunsPage() {
  const { plugin } = usePlugin();
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const [search, setSearch] = useSearchParams();
  const [isLive, setLive] = useState(true);
  const filters = filtersOf(search);
  const query = useInfiniteQuery(runsQuery(path, filters, isLive));
  const versions = useQuery(versionsQuery(path)).data?.items ?? [];
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(search);
    if (value) next.set(name, value);
    else next.delete(name);
    setSearch(next, { replace: true });
  };
  const isFiltered = [...search.keys()].some((name) => name !== 'shadow');
  return (
    <>
      <div className="toolbar">
        <PageHeading title={['Runs', plugin.name]} level={2}>
          Runs
        </PageHeading>
        <Switch isSelected={isLive} onChange={setLive}>
          Live
        </Switch>
      </div>
      <Why />
      <search className="filters" aria-label="Runs">
        <Choice label="Outcome" value={filters.outcome ?? ''} onChange={(event) => set('outcome', event.target.value)}>
          <option value="">Any</option>
          {Object.entries(OUTCOMES).map(([outcome, { name }]) => (
            <option key={outcome} value={outcome}>
              {name}
            </option>
          ))}
        </Choice>
        <Choice label="Version" value={filters.version ?? ''} onChange={(event) => set('version', event.target.value)}>
          <option value="">Any</option>
          {versions.map((version) => (
            <option key={version.id} value={version.number}>
              {version.number}
              {version.live ? ' (live)' : version.shadow ? ' (shadow)' : ''}
            </option>
          ))}
        </Choice>
        <Choice
          label="Kind"
          value={filters.shadow ? 'true' : ''}
          onChange={(event) => set('shadow', event.target.value)}
        >
          <option value="">Live runs</option>
          <option value="true">Shadow runs</option>
        </Choice>
        <MessageFilter
          key={filters.message_id}
          value={filters.message_id ?? ''}
          onChange={(id) => set('message', id)}
        />
      </search>
      <Loaded query={query} what="the runs">
        {({ pages }) => {
          const runs = pages.flatMap((page) => page.items);
          if (runs.length === 0) return <NoRuns isFiltered={isFiltered} isShadow={filters.shadow === true} />;
          return (
            <>
              <Table runs={runs} />
              <More query={query} what="Older runs" />
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function Table({ runs }: { runs: readonly RunSummary[] }) {
  return (
    <table className="table runs">
      <caption className="visually-hidden">Runs, the newest first</caption>
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Outcome</th>
          <th scope="col">Version</th>
          <th scope="col" className="number">
            Fuel
          </th>
          <th scope="col" className="number">
            Time
          </th>
          <th scope="col" className="number">
            Sends
          </th>
          <th scope="col" className="number">
            Log
          </th>
          <th scope="col">Message</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td data-label="When">
              <Link to={run.id} className="cover">
                <Time at={run.created_at} />
              </Link>
            </td>
            <td data-label="Outcome">
              <OutcomeBadge outcome={run.outcome} />
              {run.denied_calls > 0 && <span className="bad-text"> {run.denied_calls} denied</span>}
              {run.detail && (
                <span className="one-line muted run-detail">
                  <Written text={run.detail} />
                </span>
              )}
            </td>
            <td data-label="Version">
              {run.version ?? '–'}
              {run.shadow && <span className="muted"> shadow</span>}
            </td>
            <td data-label="Fuel" className="number">
              {run.fuel_limit === null ? '–' : share(run.fuel_used, run.fuel_limit)}
            </td>
            <td data-label="Time" className="number">
              {duration(run.duration_us)}
            </td>
            <td data-label="Sends" className="number">
              {run.intents}
            </td>
            <td data-label="Log" className="number">
              {run.log_lines}
            </td>
            <td data-label="Message">
              <code title={run.message_id}>{run.message_id.slice(0, 8)}</code>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function NoRuns({ isFiltered, isShadow }: { isFiltered: boolean; isShadow: boolean }) {
  if (isFiltered) {
    return (
      <Empty title="No run matches these filters">
        <p>
          Choose other filters, or <Link to="?">see all runs</Link>.
        </p>
      </Empty>
    );
  }
  if (isShadow) {
    return (
      <Empty title="No shadow has run yet">
        <p>
          A shadow runs for the same messages as the live version, and sends nothing. Start one on the page{' '}
          <Link to="../versions" relative="path">
            versions
          </Link>
          .
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="No run is recorded yet">
      <p>
        Runs that sent a message, logged a line, changed the state or failed are listed here. All other runs are counted
        under{' '}
        <Link to="../charts" relative="path">
          Charts
        </Link>
        . Write a message in the guild, or{' '}
        <Link to="../test" relative="path">
          test one here
        </Link>
        .
      </p>
    </Empty>
  );
}

function MessageFilter({ value, onChange }: { value: string; onChange: (id: string) => void }) {
  const [text, setText] = useState(value);
  const isWrong = text.trim() !== '' && messageId(text) === null;
  return (
    <TextField
      label="Message id"
      type="search"
      autoComplete="off"
      spellCheck={false}
      value={text}
      error={isWrong ? 'This is not the id of a message.' : null}
      onChange={(event) => {
        setText(event.target.value);
        const id = messageId(event.target.value);
        if (id || event.target.value.trim() === '') onChange(id ?? '');
      }}
    />
  );
}

function Why() {
  const navigate = useNavigate();
  const [text, setText] = useState('');
  const [isWrong, setWrong] = useState(false);
  const ask = (event: FormEvent) => {
    event.preventDefault();
    const id = messageId(text);
    setWrong(id === null);
    if (id) navigate(`../why?message=${id}`, { relative: 'path' });
  };
  return (
    <details className="details">
      <summary>Why did it not answer a message?</summary>
      <form className="inline-form" onSubmit={ask}>
        <TextField
          label="Id of the message"
          autoComplete="off"
          spellCheck={false}
          value={text}
          error={isWrong ? 'An id looks like 0190f3c2-7d1e-7000-8000-000000000000.' : null}
          onChange={(event) => setText(event.target.value)}
        />
        <Button type="submit">Explain</Button>
      </form>
    </details>
  );
}
