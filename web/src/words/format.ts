const number = new Intl.NumberFormat('en-GB');
const compact = new Intl.NumberFormat('en-GB', { notation: 'compact', maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat('en-GB', { style: 'percent', maximumSignificantDigits: 2 });
const time = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' });

export function count(value: number, one: string, many = `${one}s`): string {
  return `${number.format(value)} ${value === 1 ? one : many}`;
}

export function whole(value: number): string {
  return number.format(value);
}

export function short(value: number): string {
  return compact.format(value);
}

export function share(value: number, limit: number): string {
  return limit > 0 ? percent.format(value / limit) : '–';
}

export function bytes(value: number): string {
  if (value < 1024) return count(value, 'byte');
  const kib = value / 1024;
  return kib < 1024 ? `${round(kib)} KiB` : `${round(kib / 1024)} MiB`;
}

export function duration(microseconds: number): string {
  if (microseconds < 1_000) return `${microseconds} µs`;
  const ms = microseconds / 1_000;
  return ms < 1_000 ? `${round(ms)} ms` : `${round(ms / 1_000)} s`;
}

/** Seconds, or minutes rounded up. */
export function pause(seconds: number): string {
  return seconds < 60 ? count(seconds, 'second') : count(Math.ceil(seconds / 60), 'minute');
}

/** The whole date and time, in the time zone of the reader. */
export function wholeTime(at: string): string {
  return time.format(new Date(at));
}

export function relativeTime(at: string, now: number): string {
  const seconds = (new Date(at).getTime() - now) / 1_000;
  const size = Math.abs(seconds);
  if (size < 5) return 'just now';
  if (size < 60) return relative.format(Math.trunc(seconds), 'second');
  if (size < 3_600) return relative.format(Math.trunc(seconds / 60), 'minute');
  if (size < 86_400) return relative.format(Math.trunc(seconds / 3_600), 'hour');
  if (size < 30 * 86_400) return relative.format(Math.trunc(seconds / 86_400), 'day');
  return wholeTime(at);
}

export function list(items: readonly string[]): string {
  return new Intl.ListFormat('en-GB').format(items);
}

function round(value: number): string {
  return number.format(Number(value.toPrecision(3)));
}
