import { useEffect, useState } from 'react';
import { relativeTime, wholeTime } from '../words/format';

/** A time as people say it; the whole of it on hovering, and for whoever copies it. */
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
