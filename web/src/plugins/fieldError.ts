import type { ProblemError } from '../api/problem';

/** What the API says of one part of the request. */
export function fieldError(problem: ProblemError | null, pointer: string): string | null {
  return problem?.fields.find((field) => field.pointer === pointer)?.message ?? null;
}
