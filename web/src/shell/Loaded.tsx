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

/** Shows the data of a query, or the problem. If a refresh fails, the old data stays below the problem. */
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
