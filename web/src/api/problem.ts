import type { FieldError, Permission, Problem } from './types';

/** A problem that the API answered with, or an API that could not be reached (status 0). */
export class ProblemError extends Error {
  readonly kind: string;
  readonly status: number;
  readonly title: string;
  readonly fields: readonly FieldError[];
  readonly consent: readonly Permission[];
  readonly retryAfterSeconds: number | null;

  constructor(problem: Problem, retryAfterSeconds: number | null = null) {
    super(problem.detail);
    this.name = 'ProblemError';
    this.kind = problem.type.replace(/^urn:guildhook:problem:/, '');
    this.status = problem.status;
    this.title = problem.title;
    this.fields = problem.errors;
    this.consent = problem.consent;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  get changedMeanwhile(): boolean {
    return this.kind === 'changed-meanwhile';
  }
}

export function unreachable(): ProblemError {
  return new ProblemError({
    type: 'urn:guildhook:problem:unreachable',
    title: 'guildhook cannot be reached',
    status: 0,
    detail: 'The connection was lost before there was an answer.',
    errors: [],
    consent: [],
  });
}

/** The problem in an answer. Its body may be anything, since servers in front of the API answer without problem details. */
export function problemOf(response: Response, body: unknown): ProblemError {
  const retryAfter = Number(response.headers.get('Retry-After'));
  const given = typeof body === 'object' && body !== null ? (body as Partial<Problem>) : {};
  return new ProblemError(
    {
      type: typeof given.type === 'string' ? given.type : 'about:blank',
      title: typeof given.title === 'string' ? given.title : `The answer was ${response.status}`,
      status: response.status,
      detail: typeof given.detail === 'string' ? given.detail : 'The server sent no explanation.',
      errors: Array.isArray(given.errors) ? given.errors : [],
      consent: Array.isArray(given.consent) ? given.consent : [],
    },
    Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : null,
  );
}

export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  return new ProblemError({
    type: 'about:blank',
    title: 'This page has failed',
    status: 0,
    detail: error instanceof Error ? error.message : String(error),
    errors: [],
    consent: [],
  });
}

/** The way out of a problem, for problems whose detail does not contain one. */
export function wayOut(problem: ProblemError): string | null {
  switch (problem.status) {
    case 0:
      return problem.kind === 'unreachable' ? 'Check your connection and try again.' : 'Reload the page.';
    case 401:
      return 'Your session has ended. Reload the page to sign in again.';
    case 403:
      if (problem.kind === 'closed-address') return null;
      return 'Ask somebody who manages the guild for the permission MANAGE_GUILD.';
    case 404:
      return 'It may have been deleted, or it belongs to a guild that you do not manage.';
    case 412:
      return 'Reload the page, then decide.';
    case 413:
      return 'Make the data smaller, then try again.';
    case 429:
      return problem.retryAfterSeconds
        ? `Try again in ${problem.retryAfterSeconds} seconds.`
        : 'Wait a minute, then try again.';
    case 500:
      return 'Try again. If it happens again, tell the operator, who finds the cause in the log.';
    case 503:
      return 'Nothing has been changed. Try again in a moment.';
    case 502:
    case 504:
      return 'The change may have been made all the same. Reload the page to see, and try again if it was not.';
    default:
      return null;
  }
}
