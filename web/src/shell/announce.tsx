import { useSyncExternalStore } from 'react';

interface Notice {
  id: number;
  text: string;
}

const SHOWN_MS = 6_000;

let notice: Notice | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

/** Says to everybody, and reads out to screen readers, what has been done. */
export function announce(text: string): void {
  show({ id: (notice?.id ?? 0) + 1, text });
  clearTimeout(timer);
  timer = setTimeout(() => show(null), SHOWN_MS);
}

function show(value: Notice | null): void {
  notice = value;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** On top of dialogs as well, which hide what is behind them. */
export function Announcements() {
  const current = useSyncExternalStore(subscribe, () => notice);
  return (
    <div className="announcements" role="status" aria-live="polite" data-react-aria-top-layer="true">
      {current && (
        <p key={current.id} className="announcement">
          {current.text}
        </p>
      )}
    </div>
  );
}
