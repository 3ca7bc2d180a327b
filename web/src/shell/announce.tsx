import { useSyncExternalStore } from 'react';

interface Notice {
  id: number;
  text: string;
}

const SHOWN_MS = 6_000;

let notice: Notice | null = null;
let whispered = '';
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

/** Shows a short message, and has screen readers read it out. */
export function announce(text: string): void {
  show({ id: (notice?.id ?? 0) + 1, text });
  clearTimeout(timer);
  whispered = '';
  timer = setTimeout(() => show(null), SHOWN_MS);
}

/** Has screen readers read out a text that is visible elsewhere. */
export function whisper(text: string): void {
  whispered = text;
  for (const listener of listeners) listener();
}

function show(value: Notice | null): void {
  notice = value;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Shows the messages, also on top of dialogs, which hide everything behind them. */
export function Announcements() {
  const current = useSyncExternalStore(subscribe, () => notice);
  const unseen = useSyncExternalStore(subscribe, () => whispered);
  return (
    <div className="announcements" role="status" aria-live="polite" data-react-aria-top-layer="true">
      <p className="visually-hidden">{unseen}</p>
      {current && (
        <p key={current.id} className="announcement">
          {current.text}
        </p>
      )}
    </div>
  );
}
