import Markdown from 'markdown-to-jsx';
import type { ReactNode } from 'react';
import docs from '../../../docs/plugins.md?raw';
import { PageHeading } from './PageHeading';

/** The page is docs/plugins.md of the project. */
export function HelpPage() {
  const [, ...text] = docs.split('\n');
  return (
    <div className="page page-narrow prose">
      <PageHeading title={['Writing a plugin']}>Writing a plugin</PageHeading>
      <Markdown options={{ disableParsingRawHTML: true, overrides: { a: DocsLink, pre: Code } }}>
        {text.join('\n')}
      </Markdown>
    </div>
  );
}

/** Links to other files of the project are shown as text, since those files are not served here. */
function DocsLink({ href, children }: { href?: string; children?: ReactNode }) {
  return href && /^(https:|#)/.test(href) ? <a href={href}>{children}</a> : <span>{children}</span>;
}

function Code({ children }: { children?: ReactNode }) {
  return <pre className="log">{children}</pre>;
}
