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
    // An aborted request is not a problem. Any other error of fetch means that there was no answer.
    return error instanceof DOMException && error.name === 'AbortError' ? error : unreachable();
  },
});

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The data of a successful answer. Throws a ProblemError for any other answer. */
export async function answer<Data>(asked: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await asked;
  if (!response.ok) throw problemOf(response, error);
  return data as Data;
}
