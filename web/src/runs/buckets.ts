import type { UsageHour } from '../api/types';

export const KINDS = ['ok', 'failed', 'limited', 'internal', 'quarantined'] as const;
export type Kind = (typeof KINDS)[number];

export interface Bucket extends Record<Kind, number> {
  at: Date;
  /** The sum over all runs. */
  runs: number;
  fuelPerRun: number;
  msPerRun: number;
}

const HOUR_MS = 3_600_000;

/** The group of an outcome in the chart, which has only as many colours as people can tell apart. */
export function kindOf(outcome: string): Kind {
  switch (outcome) {
    case 'ok':
    case 'internal':
    case 'quarantined':
      return outcome;
    case 'trap':
    case 'invalid':
      return 'failed';
    default:
      return 'limited';
  }
}

/** The last `hours` in buckets of `size` hours, the oldest first, including empty buckets. */
export function buckets(usage: readonly UsageHour[], hours: number, size: number, now: Date): Bucket[] {
  const end = Math.floor(now.getTime() / HOUR_MS) + 1;
  const length = Math.ceil(hours / size);
  const sums = Array.from({ length }, (_, index) => ({
    at: new Date((end - (length - index) * size) * HOUR_MS),
    ok: 0,
    failed: 0,
    limited: 0,
    internal: 0,
    quarantined: 0,
    runs: 0,
    fuel: 0,
    us: 0,
  }));
  for (const row of usage) {
    const age = end - 1 - Math.floor(new Date(row.hour).getTime() / HOUR_MS);
    const bucket = sums[length - 1 - Math.floor(age / size)];
    if (!bucket) continue;
    const kind = kindOf(row.outcome);
    bucket[kind] += row.runs;
    if (kind === 'quarantined') continue;
    bucket.runs += row.runs;
    bucket.fuel += row.fuel_used;
    bucket.us += row.duration_us;
  }
  return sums.map(({ fuel, us, ...bucket }) => ({
    ...bucket,
    fuelPerRun: bucket.runs > 0 ? fuel / bucket.runs : 0,
    msPerRun: bucket.runs > 0 ? us / bucket.runs / 1_000 : 0,
  }));
}
