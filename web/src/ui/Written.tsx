import { parts } from '../words/written';

/** A text of somebody else's, with nothing in it that would not be seen or would turn the line around. */
export function Written({ text }: { text: string }) {
  return (
    <bdi className="written">
      {parts(text).map((part, index) =>
        part.code === null ? (
          part.text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text have nothing else, and keep their order
          <span key={index} className="unseen" title={part.code}>
            {part.text}
          </span>
        ),
      )}
    </bdi>
  );
}
