import type { ReactNode } from 'react';
import { Button as AriaButton, type ButtonProps } from 'react-aria-components/Button';

interface Props extends Omit<ButtonProps, 'children' | 'className'> {
  kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  children: ReactNode;
}

/** While pending it stays focusable, does nothing, and says so to screen readers. */
export function Button({ kind = 'plain', children, ...props }: Props) {
  return (
    <AriaButton {...props} className={`button button-${kind}`}>
      {({ isPending }) => (
        <>
          {isPending && <span className="spinner" aria-hidden="true" />}
          <span className="button-label">{children}</span>
        </>
      )}
    </AriaButton>
  );
}
