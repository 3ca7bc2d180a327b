import type { ReactNode } from 'react';

interface Props {
  label: string;
  className?: string;
  children: ReactNode;
}

/** A section that may be larger than its place. It can be focused, so that the keyboard can scroll it. */
export function Scrollable({ label, className = 'scroll', children }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must reach a scrollable section
    <section className={className} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
