import { UserManager, type UserManagerSettings, WebStorageStateStore } from 'oidc-client-ts';
import type { SignIn } from '../api/types';

let manager: UserManager | null = null;
let ended = false;
let postponed = false;
const listeners = new Set<() => void>();

export function createUserManager({ issuer, client_id, scope }: SignIn): UserManager {
  const settings: UserManagerSettings = {
    authority: issuer,
    client_id,
    scope,
    redirect_uri: `${location.origin}/signed-in`,
    post_logout_redirect_uri: location.origin,
    // The storage of the tab: it is deleted with the tab, and no other tab can read it.
    userStore: new WebStorageStateStore({ store: sessionStorage }),
    stateStore: new WebStorageStateStore({ store: sessionStorage }),
    // Without a refresh token, renewal would need a frame of the issuer, which the page's security policy forbids.
    automaticSilentRenew: scope.split(' ').includes('offline_access'),
  };
  manager = new UserManager(settings);
  manager.events.addAccessTokenExpired(() => endSession());
  manager.events.addUserLoaded(() => {
    postponed = false;
    setEnded(false);
  });
  return manager;
}

export async function accessToken(): Promise<string | null> {
  return (await manager?.getUser())?.access_token ?? null;
}

/**
 * Ends the session: the API refuses the token, or it has expired. After “Not now”, only a change by the user asks again,
 * since the page itself sends requests every few seconds.
 */
export function endSession({ byChange = false } = {}): void {
  if (byChange || !postponed) setEnded(true);
}

export function postponeSignIn(): void {
  postponed = true;
  setEnded(false);
}

export function sessionHasEnded(): boolean {
  return ended;
}

export function onSessionChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function setEnded(value: boolean): void {
  ended = value;
  for (const listener of listeners) listener();
}
