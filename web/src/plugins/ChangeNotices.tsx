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
  /** Both values, where there are some to compare. */
  compare?: (conflict: Conflict) => ReactNode;
  onTakeTheirs?: (conflict: Conflict) => void;
}

/** Why the last change was not made. */
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
        title="Somebody else changed it"
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
                'This plugin has been changed since you opened it.'
              )}{' '}
              Nothing of yours has been saved yet. You were about to {conflict.change.what}.
            </p>
            {compare?.(conflict)}
            <DialogActions>
              <Button onPress={takeTheirs}>Take theirs</Button>
              <Button kind="primary" isPending={changes.isPending} onPress={() => changes.submitOver(conflict)}>
                Put mine over it
              </Button>
            </DialogActions>
          </>
        )}
      </Dialog>
    </>
  );
}
