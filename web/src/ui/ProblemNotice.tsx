import { type ProblemError, wayOut } from '../api/problem';
import { Button } from './Button';

interface Props {
  problem: ProblemError;
  onRetry?: () => void;
  isRetrying?: boolean;
  /** True if the errors of fields are shown elsewhere, at their fields. */
  hidesFields?: boolean;
}

export function ProblemNotice({ problem, onRetry, isRetrying = false, hidesFields = false }: Props) {
  const way = wayOut(problem);
  return (
    <div className="notice notice-bad" role="alert">
      <p className="notice-title">{problem.title}</p>
      <p>{sentence(problem.message)}</p>
      {!hidesFields && problem.fields.length > 1 && (
        <ul>
          {problem.fields.map((field) => (
            <li key={`${field.pointer} ${field.message}`}>
              {field.pointer && <code>{field.pointer}</code>} {field.message}
            </li>
          ))}
        </ul>
      )}
      {way && (
        <p>
          {way}
          {problem.status === 404 && (
            <>
              {' '}
              Go back to <a href="/">your guilds</a>.
            </>
          )}
        </p>
      )}
      {onRetry && (
        <Button onPress={onRetry} isPending={isRetrying}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** A text of the API as a sentence: with a capital letter and a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}
