import { type ReactNode, useEffect, useRef } from 'react';
import { useLocation } from 'react-router';

interface Props {
  /** The parts of the title of the browser's tab, from the particular to the general. */
  title: readonly string[];
  level?: 1 | 2;
  isHidden?: boolean;
  children: ReactNode;
}

/** The heading of a page. After a link inside the page it gets the focus, as a new document would. */
export function PageHeading({ title, level = 1, isHidden = false, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { key } = useLocation();
  const Tag = level === 1 ? 'h1' : 'h2';
  const text = [...title, 'guildhook'].join(' – ');
  useEffect(() => {
    if (key !== 'default') heading.current?.focus();
  }, [key]);
  return (
    <Tag ref={heading} tabIndex={-1} className={isHidden ? 'visually-hidden' : 'page-heading'}>
      <title>{text}</title>
      {children}
    </Tag>
  );
}
