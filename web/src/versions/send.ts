import type { Upload } from '../api/types';

export class UploadError extends Error {
  override name = 'UploadError';

  constructor(
    message: string,
    /** True if the form of the upload has expired. */
    readonly isOver = false,
  ) {
    super(message);
  }
}

export interface Sending {
  done: Promise<void>;
  cancel: () => void;
}

/**
 * Sends a file with the upload form of the API. `done` rejects with an UploadError, whose text is shown to the admin. It
 * never settles after `cancel`.
 */
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
      reject(new UploadError('The connection was lost before the storage answered. Try again.'));
    };
    const form = new FormData();
    for (const [name, value] of Object.entries(upload.fields)) form.append(name, value);
    // S3 ignores all fields after the file.
    form.append('file', file);
    request.open('POST', upload.url);
    request.send(form);
  });
  return { done, cancel: () => request.abort() };
}

const REFUSALS: Record<string, string> = {
  EntityTooLarge: 'The size of the file has changed since you chose it. Choose it again.',
  EntityTooSmall: 'The size of the file has changed since you chose it. Choose it again.',
  BadDigest: 'The file was damaged on the way. Try again.',
  XAmzContentChecksumMismatch: 'The file was damaged on the way. Try again.',
  AccessDenied: 'The time to send the file is over. Try again.',
  RequestTimeout: 'The connection was too slow and was closed. Try again.',
  SlowDown: 'The storage is busy. Try again in a moment.',
};

function refused(status: number, body: string): UploadError {
  return new UploadError(refusal(status, body), body.includes('<Code>AccessDenied</Code>'));
}

/** The text for a refusal by S3. Of its answer, only the error code is shown. */
export function refusal(status: number, body: string): string {
  const code = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(body)?.[1];
  const known = code && REFUSALS[code];
  if (known) return known;
  return `The storage refused the file (${code ?? status}). Try again. If it happens again, tell the operator.`;
}

/** The SHA-256 digest of a file in hexadecimal. */
export async function sha256(file: Blob): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
