import type { ReactNode } from 'react';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Time } from '../ui/Time';
import { Written } from '../ui/Written';
import { action } from '../words/names';
import type { Conflict, PluginChanges } from './change';

interface Props {
  changes: PluginChanges;
  hidesFields?: boolean;
  /** Shows both values, if there are values to compare. */
  compare?: (conflict: Conflict) => ReactNode;
  onTakeTheirs?: (conflict: Conflict) => void;
}

/** The reason why the last change was not saved: a problem, or a change by somebody else. */
export function ChangeNotices({ changes, hidesFields, compare, onTakeTheirs }: Props) {
  const { conflict, problem } = changes;
  const takeTheirs = () => {
    if (conflict) onTakeTheirs?.(conflict);
    changes.dropConflict();
  };
  return (
    <>
      {problem && <ProblemNotice problem={problem} hidesFields={hidesFields} />}
      <Dialog
        title="Somebody else changed this plugin"
        role="alertdialog"
        isWide={compare !== undefined}
        isOpen={conflict !== null}
        onClose={changes.dropConflict}
      >
        {conflict && (
          <>
            <p>
              {conflict.by ? (
                <>
                  <strong>
                    <Written text={conflict.by.actor_name} />
                  </strong>{' '}
                  {action(conflict.by.action)} <Time at={conflict.by.at} />.
                </>
              ) : (
                'Somebody has changed this plugin since you opened it.'
              )}{' '}
              Your change is not saved. You were about to {conflict.change.what}.
            </p>
            {compare?.(conflict)}
            <DialogActions>
              <Button onPress={takeTheirs}>Discard my change</Button>
              <Button kind="primary" isPending={changes.isPending} onPress={() => changes.submitOver(conflict)}>
                Save my change anyway
              </Button>
            </DialogActions>
          </>
        )}
      </Dialog>
    </>
  );
}
