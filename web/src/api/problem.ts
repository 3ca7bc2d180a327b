import type { FieldError, Permission, Problem } from './types';

/** What the API answered instead, or that it could not be asked (status 0). */
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
    return this.status === 412;
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

/** Of an answer whose body may be anything: what stands between may answer as well, without problem details. */
export function problemOf(response: Response, body: unknown): ProblemError {
  const retryAfter = Number(response.headers.get('Retry-After'));
  const given = typeof body === 'object' && body !== null ? (body as Partial<Problem>) : {};
  return new ProblemError(
    {
      type: typeof given.type === 'string' ? given.type : 'about:blank',
      title: typeof given.title === 'string' ? given.title : `The answer was ${response.status}`,
      status: response.status,
      detail: typeof given.detail === 'string' ? given.detail : 'It came without an explanation.',
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

/** What somebody can do about it, where the detail does not say. */
export function wayOut(problem: ProblemError): string | null {
  switch (problem.status) {
    case 0:
      return problem.kind === 'unreachable' ? 'Check your connection and try again.' : 'Reload the page.';
    case 401:
      return 'Your session has ended. Reload the page to sign in again.';
    case 403:
      return 'Ask somebody who may manage the guild for MANAGE_GUILD.';
    case 404:
      return 'It may have been deleted, or is not of a guild that you manage.';
    case 412:
      return 'Look at what changed, then decide.';
    case 413:
      return 'Make it smaller.';
    case 429:
      return problem.retryAfterSeconds
        ? `Try again in ${problem.retryAfterSeconds} seconds.`
        : 'Wait a minute, then try again.';
    case 500:
      return 'Try again. If it stays, tell the operator: it is in the log.';
    case 503:
      return 'Nothing has been changed. Try again in a moment.';
    case 502:
    case 504:
      return 'It may have been done all the same. Reload the page to see, and try again if it has not.';
    default:
      return null;
  }
}
