import { useEffect, useState } from 'react';
import { relativeTime, wholeTime } from '../words/format';

/** A time relative to now, with the whole date and time as its title. */
export function Time({ at, isWhole = false }: { at: string; isWhole?: boolean }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (isWhole) return;
    const timer = setInterval(() => setNow(Date.now()), 15_000);
    return () => clearInterval(timer);
  }, [isWhole]);
  return (
    <time dateTime={at} title={wholeTime(at)}>
      {isWhole ? wholeTime(at) : relativeTime(at, Math.max(now, Date.now()))}
    </time>
  );
}
