import type { UsageHour } from '../api/types';

export interface Hour {
  ok: number;
  failed: number;
}

const HOUR_MS = 3_600_000;

/** The last 24 hours, the newest last. Messages that a quarantined plugin did not get are not counted. */
export function today(usage: readonly UsageHour[], now: Date): { hours: Hour[]; runs: number; failed: number } {
  const newest = Math.floor(now.getTime() / HOUR_MS);
  const hours = Array.from({ length: 24 }, (): Hour => ({ ok: 0, failed: 0 }));
  let runs = 0;
  let failed = 0;
  for (const row of usage) {
    const hour = hours[23 - (newest - Math.floor(new Date(row.hour).getTime() / HOUR_MS))];
    if (!hour || row.outcome === 'quarantined') continue;
    runs += row.runs;
    if (row.outcome === 'ok') {
      hour.ok += row.runs;
    } else {
      hour.failed += row.runs;
      failed += row.runs;
    }
  }
  return { hours, runs, failed };
}
