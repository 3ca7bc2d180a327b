import { isRouteErrorResponse, Link, useRouteError } from 'react-router';
import { asProblem } from '../api/problem';
import { ProblemNotice } from '../ui/ProblemNotice';
import { PageHeading } from './PageHeading';

export function ErrorPage() {
  const error = useRouteError();
  if (isRouteErrorResponse(error) && error.status === 404) return <NotFoundPage />;
  return (
    <div className="page">
      <PageHeading title={['Error']}>This page has failed</PageHeading>
      <ProblemNotice problem={asProblem(error)} onRetry={() => location.reload()} />
    </div>
  );
}

export function NotFoundPage() {
  return (
    <div className="page">
      <PageHeading title={['Not found']}>There is no such page</PageHeading>
      <p>
        The address may have a typing mistake. Go to <Link to="/">your guilds</Link>.
      </p>
    </div>
  );
}
