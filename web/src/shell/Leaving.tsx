import type { ReactNode } from 'react';
import { useCallback } from 'react';
import { useBeforeUnload, useBlocker } from 'react-router';
import { sessionHasEnded } from '../session/token';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';

/** Asks before a page with unsaved changes is left. The result must be rendered somewhere on the page. */
export function useUnsaved(isUnsaved: boolean): ReactNode {
  return useLeaving(
    isUnsaved,
    'Your changes are not saved',
    'Your changes on this page are not saved yet. This tab keeps them until you come back to the page.',
  );
}

/** Asks before the page is left during an action. The result must be rendered somewhere on the page. */
export function useLeaving(isAmid: boolean, title: string, text: string): ReactNode {
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => isAmid && currentLocation.pathname !== nextLocation.pathname,
  );
  useBeforeUnload(
    useCallback(
      (event) => {
        // Signing in again leaves the page, and comes back to the typed texts.
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
          Stay on the page
        </Button>
      </DialogActions>
    </Dialog>
  );
}
