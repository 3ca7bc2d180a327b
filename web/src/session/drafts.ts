import { useCallback, useEffect, useRef, useState } from 'react';

const PREFIX = 'guildhook.draft.';

/**
 * State that survives signing in again, which leaves the page: the tab's storage keeps it until it is dropped. It must
 * not hold secrets.
 */
export function useDraft<Value>(name: string, initial: Value) {
  const key = PREFIX + name;
  const [draft, setDraft] = useState<Value>(() => read<Value>(key) ?? initial);
  const known = useRef(key);

  useEffect(() => {
    if (known.current === key) return;
    known.current = key;
    setDraft(read<Value>(key) ?? initial);
  }, [key, initial]);

  const set = useCallback(
    (value: Value) => {
      setDraft(value);
      try {
        sessionStorage.setItem(key, JSON.stringify(value));
      } catch {
        // The storage is full or forbidden. The typed text is then lost with the page, as on any other page.
      }
    },
    [key],
  );

  const drop = useCallback(
    (value: Value) => {
      setDraft(value);
      sessionStorage.removeItem(key);
    },
    [key],
  );

  return [draft, set, drop] as const;
}

export function dropAllDrafts(): void {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  }
}

function read<Value>(key: string): Value | null {
  const kept = sessionStorage.getItem(key);
  try {
    return kept === null ? null : (JSON.parse(kept) as Value);
  } catch {
    return null;
  }
}
