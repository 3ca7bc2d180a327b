import createClient from 'openapi-fetch';
import { accessToken, endSession } from '../session/token';
import { problemOf, unreachable } from './problem';
import type { paths } from './schema';

export const api = createClient<paths>();

api.use({
  async onRequest({ request }) {
    const token = await accessToken();
    if (token) request.headers.set('Authorization', `Bearer ${token}`);
  },
  onResponse({ request, response }) {
    if (response.status === 401) endSession({ byChange: request.method !== 'GET' });
  },
  onError({ error }) {
    // An aborted request is nobody's problem; what else fetch throws is that there was no answer.
    return error instanceof DOMException && error.name === 'AbortError' ? error : unreachable();
  },
});

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** Raises ProblemError for every answer that is none. */
export async function answer<Data>(asked: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await asked;
  if (!response.ok) throw problemOf(response, error);
  return data as Data;
}
