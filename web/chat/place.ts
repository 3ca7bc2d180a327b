import { useSyncExternalStore } from 'react';

export type Place = { guildId?: string; channelId?: string };

const moved = new EventTarget();

/** The guild and channel in the page's address, and a function that goes to others. */
export function usePlace(): [Place, (path: string) => void] {
  const path = useSyncExternalStore(subscribe, () => window.location.pathname);
  const [, , guildId, channelId] = path.split('/');
  return [{ guildId, channelId }, go];
}

export function pathOf(guildId: string, channelId: string): string {
  return `/guilds/${guildId}/${channelId}`;
}

function go(path: string) {
  window.history.pushState(null, '', path);
  moved.dispatchEvent(new Event('moved'));
}

function subscribe(onMove: () => void) {
  moved.addEventListener('moved', onMove);
  window.addEventListener('popstate', onMove);
  return () => {
    moved.removeEventListener('moved', onMove);
    window.removeEventListener('popstate', onMove);
  };
}
