import type { ReactNode } from 'react';
import { Switch as AriaSwitch, type SwitchProps } from 'react-aria-components/Switch';

interface Props extends Omit<SwitchProps, 'children' | 'className'> {
  children: ReactNode;
}

export function Switch({ children, ...props }: Props) {
  return (
    <AriaSwitch {...props} className="switch">
      <span className="switch-track" aria-hidden="true" />
      <span>{children}</span>
    </AriaSwitch>
  );
}
