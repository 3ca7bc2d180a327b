import { type ReactNode, useEffect, useRef } from 'react';
import { useLocation } from 'react-router';

interface Props {
  /** Of the browser's tab, from the particular to the general. */
  title: readonly string[];
  level?: 1 | 2;
  isHidden?: boolean;
  children: ReactNode;
}

/** Each page has one. Who has come by a link inside of the page is put there, as a new document would. */
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
