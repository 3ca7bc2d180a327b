import type { ReactNode } from 'react';
import { Mark } from './Mark';

/** A page without navigation, for people who are not signed in. */
export function FullPage({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="full-page">
      <title>{title}</title>
      <Mark size={44} />
      <h1>{title}</h1>
      {children}
    </main>
  );
}
