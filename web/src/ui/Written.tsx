import { parts } from '../words/written';

/** A text by an untrusted author, with stand-ins for invisible characters and marks of direction. */
export function Written({ text }: { text: string }) {
  return (
    <bdi className="written">
      {parts(text).map((part, index) =>
        part.code === null ? (
          part.text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text have no other key, and keep their order
          <span key={index} className="unseen" title={part.code}>
            {part.text}
          </span>
        ),
      )}
    </bdi>
  );
}
