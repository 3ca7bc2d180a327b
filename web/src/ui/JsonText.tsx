import { Fragment } from 'react';
import { Written } from './Written';

/** Text in JSON. The line breaks in it are those of the layout, since line breaks in values are escaped. */
export function JsonText({ text }: { text: string }) {
  return text.split('\n').map((line, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
    <Fragment key={index}>
      {index > 0 && '\n'}
      <Written text={line} />
    </Fragment>
  ));
}
