import type { ReactNode } from 'react';
import { asProblem } from '../api/problem';
import { Loading } from '../ui/Loading';
import { ProblemNotice } from '../ui/ProblemNotice';

interface Query<Data> {
  data: Data | undefined;
  error: Error | null;
  isFetching: boolean;
  refetch: () => unknown;
}

interface Props<Data> {
  query: Query<Data>;
  what: string;
  children: (data: Data) => ReactNode;
}

/** What was asked for, or why it is not there. Old data stays, with a word that it could not be renewed. */
export function Loaded<Data>({ query, what, children }: Props<Data>) {
  const { data, error, isFetching, refetch } = query;
  return (
    <>
      {error && error.name !== 'AbortError' && (
        <ProblemNotice problem={asProblem(error)} onRetry={() => refetch()} isRetrying={isFetching} />
      )}
      {data === undefined ? !error && <Loading what={what} /> : children(data)}
    </>
  );
}
