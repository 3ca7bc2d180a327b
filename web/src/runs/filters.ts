import type { RunFilters } from '../api/queries';
import type { Outcome } from '../api/types';
import { OUTCOMES } from '../words/names';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The message id in a typed or pasted text, or null. */
export function messageId(text: string): string | null {
  const id = text.trim().toLowerCase();
  return UUID.test(id) ? id : null;
}

/** The filters in the page's address. Invalid values are ignored. */
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
