import type { Upload } from '../api/types';

export class UploadError extends Error {
  override name = 'UploadError';

  constructor(
    message: string,
    /** The form was given out too long ago. */
    readonly isOver = false,
  ) {
    super(message);
  }
}

export interface Sending {
  done: Promise<void>;
  cancel: () => void;
}

/** Sends a file by the form that the API gave out. `done` raises UploadError with a text for people; a cancelled one never ends. */
export function send(upload: Upload, file: Blob, onProgress: (share: number) => void): Sending {
  const request = new XMLHttpRequest();
  const done = new Promise<void>((resolve, reject) => {
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(refused(request.status, request.responseText));
    };
    request.onerror = () => {
      reject(new UploadError('The connection was lost before the storage had answered. Try again.'));
    };
    const form = new FormData();
    for (const [name, value] of Object.entries(upload.fields)) form.append(name, value);
    // S3 reads nothing that comes after the file.
    form.append('file', file);
    request.open('POST', upload.url);
    request.send(form);
  });
  return { done, cancel: () => request.abort() };
}

const REFUSALS: Record<string, string> = {
  EntityTooLarge: 'The file has another size than it had when it was chosen. Choose it again.',
  EntityTooSmall: 'The file has another size than it had when it was chosen. Choose it again.',
  BadDigest: 'What arrived is not what was sent. Try again.',
  XAmzContentChecksumMismatch: 'What arrived is not what was sent. Try again.',
  AccessDenied: 'The time to send it is over. Try again.',
  RequestTimeout: 'The connection was too slow, and was closed. Try again.',
  SlowDown: 'The storage has too much to do. Try again in a moment.',
};

function refused(status: number, body: string): UploadError {
  return new UploadError(refusal(status, body), body.includes('<Code>AccessDenied</Code>'));
}

/** Of an answer of S3, of which only the code is shown. */
export function refusal(status: number, body: string): string {
  const code = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(body)?.[1];
  const known = code && REFUSALS[code];
  if (known) return known;
  return `The storage did not take the file (${code ?? status}). Try again; if it stays, tell the operator.`;
}

/** In hexadecimal. */
export async function sha256(file: Blob): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
