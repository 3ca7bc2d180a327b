import type { SettingDifference } from '../api/types';
import { JsonText } from '../ui/JsonText';
import { Written } from '../ui/Written';

const MAX_CHARS = 500;

interface Props {
  differences: readonly SettingDifference[];
  /** The heading of the column with the values that come. */
  then: string;
}

/** The settings that change, with their values of now and those that come. Nothing is shown if there are none. */
export function Differences({ differences, then }: Props) {
  if (differences.length === 0) return null;
  return (
    <table className="table differences">
      <caption className="visually-hidden">Settings that differ</caption>
      <thead>
        <tr>
          <th scope="col">Setting</th>
          <th scope="col">Now</th>
          <th scope="col">{then}</th>
        </tr>
      </thead>
      <tbody>
        {differences.map((difference) => (
          <tr key={difference.name}>
            <td data-label="Setting">
              <strong>
                <Written text={difference.name} />
              </strong>
            </td>
            <td data-label="Now">
              {difference.change === 'added' ? <NotSet /> : <Value difference={difference} which="before" />}
            </td>
            <td data-label={then}>
              {difference.change === 'removed' ? <NotSet /> : <Value difference={difference} which="after" />}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function NotSet() {
  return <span className="muted">not set</span>;
}

function Value({ difference, which }: { difference: SettingDifference; which: 'before' | 'after' }) {
  const whole = shown(difference, which);
  const text = whole.length > MAX_CHARS ? `${whole.slice(0, MAX_CHARS)} …` : whole;
  return (
    <code className="value">
      {typeof difference[which] === 'string' ? <Written text={text} /> : <JsonText text={text} />}
    </code>
  );
}

/** A text as it is, and other values as JSON. Text is shown as JSON too where it would look the same as the other value. */
function shown({ before, after }: SettingDifference, which: 'before' | 'after'): string {
  const value = which === 'before' ? before : after;
  return plain(before) === plain(after) || value === '' ? JSON.stringify(value) : plain(value);
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 1);
}

/** Says which settings cannot come back, since they are secrets by now. */
export function Withheld({ names, secrets }: { names: readonly string[]; secrets: readonly string[] }) {
  if (names.length === 0) return null;
  const missing = names.filter((name) => !secrets.includes(name));
  return (
    <p className="muted">
      Secrets are not kept here, and stay as they are now: <Written text={names.join(', ')} />.
      {missing.length > 0 && (
        <>
          {' '}
          No secret is set for <Written text={missing.join(', ')} />, so the value of that time cannot come back. Set it
          under Secrets.
        </>
      )}
    </p>
  );
}
