import type { ProblemError } from '../api/problem';

/** The error of the API for one field of the request. */
export function fieldError(problem: ProblemError | null, pointer: string): string | null {
  return problem?.fields.find((field) => field.pointer === pointer)?.message ?? null;
}
