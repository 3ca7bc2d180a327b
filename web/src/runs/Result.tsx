import type { ReactNode } from 'react';
import type { HostCall, Intent, Outcome } from '../api/types';
import { Badge } from '../ui/Badge';
import { Bar } from '../ui/Bar';
import { Written } from '../ui/Written';
import { count, duration, share, short } from '../words/format';
import { callResult, delivery, OUTCOMES } from '../words/names';
import { OutcomeBadge } from './OutcomeBadge';

interface Ran {
  outcome: Outcome;
  detail: string;
  fuel_used: number;
  fuel_limit: number | null;
  duration_us: number;
  cpu_us: number | null;
  host_calls: number;
  calls: readonly HostCall[];
  logs: readonly string[];
  sends: readonly Intent[];
}

/** The result of a run, a test run or a replay. */
export function Result({ run, children }: { run: Ran; children?: ReactNode }) {
  const denied = run.calls.filter((call) => call.denied !== null).length;
  return (
    <div className="result">
      <div className="result-head">
        <OutcomeBadge outcome={run.outcome} />
        <p>{OUTCOMES[run.outcome].advice}</p>
      </div>
      {run.detail && (
        <pre className="log log-detail">
          <Written text={run.detail} />
        </pre>
      )}
      <div className="bars">
        {run.fuel_limit === null ? (
          <p>Fuel: {short(run.fuel_used)}</p>
        ) : (
          <Bar
            label="Fuel"
            value={run.fuel_used}
            limit={run.fuel_limit}
            text={`${short(run.fuel_used)} of ${short(run.fuel_limit)} (${share(run.fuel_used, run.fuel_limit)})`}
          />
        )}
        <dl className="facts">
          <div>
            <dt>Time</dt>
            <dd>{duration(run.duration_us)}</dd>
          </div>
          {run.cpu_us !== null && (
            <div>
              <dt>Processor time</dt>
              <dd>{duration(run.cpu_us)}</dd>
            </div>
          )}
          <div>
            <dt>Calls</dt>
            <dd>
              {run.host_calls}
              {denied > 0 && <span className="bad-text">, {denied} denied</span>}
            </dd>
          </div>
          {children}
        </dl>
      </div>
      <section>
        <h3>Messages</h3>
        {run.sends.length === 0 ? (
          <p className="muted">It sent no messages.</p>
        ) : (
          <ul className="sends">
            {run.sends.map((send, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a send is its place in the run
              <Send key={index} send={send} />
            ))}
          </ul>
        )}
      </section>
      <section>
        <h3>Log</h3>
        <Log lines={run.logs} />
      </section>
      {run.calls.length > 0 && (
        <details className="details" open={denied > 0}>
          <summary>
            {count(run.calls.length, 'call')} of guildhook{denied > 0 && `, ${denied} denied`}
          </summary>
          <Calls calls={run.calls} />
        </details>
      )}
    </div>
  );
}

export function Log({ lines }: { lines: readonly string[] }) {
  if (lines.length === 0) return <p className="muted">It logged nothing.</p>;
  return (
    <ol className="log lines">
      {lines.map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place in the log
        <li key={index}>
          <Written text={line} />
        </li>
      ))}
    </ol>
  );
}

function Send({ send }: { send: Intent }) {
  const { name, tone, detail } = delivery(send);
  return (
    <li className="send">
      <div className="send-head">
        <Badge tone={tone}>{name}</Badge>
        <span className="muted">
          to channel <code title={send.channel_id}>{send.channel_id.slice(0, 8)}</code>
          {send.message_id && (
            <>
              {' '}
              as message <code>{send.message_id}</code>
            </>
          )}
        </span>
      </div>
      <p className="send-content">
        <Written text={send.content} />
      </p>
      {detail && (
        <p className="muted">
          <Written text={detail} />
        </p>
      )}
    </li>
  );
}

function Calls({ calls }: { calls: readonly HostCall[] }) {
  return (
    <table className="table table-tight">
      <caption className="visually-hidden">Calls, in their order</caption>
      <thead>
        <tr>
          <th scope="col">Function</th>
          <th scope="col">Result</th>
          <th scope="col">Why</th>
        </tr>
      </thead>
      <tbody>
        {calls.map((call, index) => {
          const { name, tone } = callResult(call);
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a call is its place in the run
            <tr key={index}>
              <td data-label="Function">
                <code>{call.function}</code>
              </td>
              <td data-label="Result">
                <Badge tone={tone}>{name}</Badge>
              </td>
              <td data-label="Why">{call.denied ? <Written text={call.denied} /> : '–'}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
