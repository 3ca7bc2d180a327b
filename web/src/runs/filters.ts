import type { RunFilters } from '../api/queries';
import type { Outcome } from '../api/types';
import { OUTCOMES } from '../words/names';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The id that somebody has typed or pasted, or null. */
export function messageId(text: string): string | null {
  const id = text.trim().toLowerCase();
  return UUID.test(id) ? id : null;
}

/** Of the page's address. What it cannot mean is left out. */
export function filtersOf(search: URLSearchParams): RunFilters {
  const outcome = search.get('outcome');
  const version = Number(search.get('version'));
  const message = messageId(search.get('message') ?? '');
  return {
    ...(outcome !== null && Object.hasOwn(OUTCOMES, outcome) && { outcome: outcome as Outcome }),
    ...(Number.isInteger(version) && version > 0 && { version }),
    ...(message && { message_id: message }),
    shadow: search.get('shadow') === 'true',
  };
}
