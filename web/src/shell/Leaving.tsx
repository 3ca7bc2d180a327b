import type { ReactNode } from 'react';
import { useCallback } from 'react';
import { useBeforeUnload, useBlocker } from 'react-router';
import { sessionHasEnded } from '../session/token';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';

/** Asks before what is typed is left behind. To be rendered somewhere on the page. */
export function useUnsaved(isUnsaved: boolean): ReactNode {
  return useLeaving(
    isUnsaved,
    'You have not saved',
    'What you have changed on this page is not saved yet. It stays in this tab, and is here when you come back.',
  );
}

/** Asks before the page is left in the middle of something. To be rendered somewhere on the page. */
export function useLeaving(isAmid: boolean, title: string, text: string): ReactNode {
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => isAmid && currentLocation.pathname !== nextLocation.pathname,
  );
  useBeforeUnload(
    useCallback(
      (event) => {
        // Signing in again leaves the page, and comes back to what is typed.
        if (isAmid && !sessionHasEnded()) event.preventDefault();
      },
      [isAmid],
    ),
  );
  return (
    <Dialog title={title} role="alertdialog" isOpen={blocker.state === 'blocked'} onClose={() => blocker.reset?.()}>
      <p>{text}</p>
      <DialogActions>
        <Button onPress={() => blocker.proceed?.()}>Leave the page</Button>
        <Button kind="primary" onPress={() => blocker.reset?.()}>
          Stay
        </Button>
      </DialogActions>
    </Dialog>
  );
}
