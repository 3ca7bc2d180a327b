import { Children, type ReactNode, useEffect } from 'react';
import { Button as AriaButton, type ButtonProps } from 'react-aria-components/Button';
import { whisper } from '../shell/announce';

interface Props extends Omit<ButtonProps, 'children' | 'className'> {
  kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  children: ReactNode;
}

/** A button. While pending it keeps the focus, does nothing, and tells screen readers that it is busy. */
export function Button({ kind = 'plain', isPending = false, onPress, type = 'button', children, ...props }: Props) {
  const label = Children.toArray(children)
    .filter((part) => typeof part !== 'object')
    .join('');
  useEffect(() => {
    if (isPending) whisper(`${label}: working …`);
  }, [isPending, label]);
  return (
    // The pending state of the library is not used: its announcement names the button, which may be gone by then.
    <AriaButton
      {...props}
      type={isPending ? 'button' : type}
      onPress={isPending ? undefined : onPress}
      aria-disabled={isPending || undefined}
      className={`button button-${kind}`}
    >
      {isPending && <span className="spinner" aria-hidden="true" />}
      <span className="button-label">{children}</span>
    </AriaButton>
  );
}
