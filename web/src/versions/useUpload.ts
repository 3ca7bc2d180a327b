import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { answer, api } from '../api/client';
import { asProblem, type ProblemError } from '../api/problem';
import { keys, type PluginPath } from '../api/queries';
import type { Upload } from '../api/types';
import { useSignIn } from '../session/Session';
import { announce } from '../shell/announce';
import { bytes } from '../words/format';
import { type Sending, send, sha256, UploadError } from './send';

export type UploadState =
  | { step: 'idle' }
  | { step: 'reading'; name: string }
  | { step: 'announcing'; name: string }
  | { step: 'sending'; name: string; share: number }
  | { step: 'failed'; name: string; reason: string; problem: ProblemError | null; canRetry: boolean };

/** An announced upload, so that the next attempt can continue it. */
interface Attempt {
  file: File;
  key: string;
  number?: number;
  upload?: Upload;
  isSent?: boolean;
}

/** Uploads a chosen file as a new version, which guildhook then checks. There is one upload at a time. */
export function useUpload(path: PluginPath) {
  const { max_wasm_bytes: limit } = useSignIn();
  const queryClient = useQueryClient();
  const [state, setState] = useState<UploadState>({ step: 'idle' });
  const attempt = useRef<Attempt | null>(null);
  const sending = useRef<Sending | null>(null);

  // Leaving the page cancels the upload.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path is the page's
  useEffect(
    () => () => {
      const given = attempt.current;
      attempt.current = null;
      sending.current?.cancel();
      if (given) void withdraw(path, given);
    },
    [],
  );

  const run = async (current: Attempt) => {
    const { file } = current;
    const isCurrent = () => attempt.current === current;
    const refresh = () => queryClient.invalidateQueries({ queryKey: keys.plugin(path) });
    try {
      if (!current.upload || new Date(current.upload.expires_at) <= new Date()) {
        setState({ step: 'reading', name: file.name });
        const digest = await sha256(file);
        if (!isCurrent()) return;
        setState({ step: 'announcing', name: file.name });
        const created = await answer(
          api.POST('/api/guilds/{guild_id}/plugins/{plugin_id}/versions', {
            params: { path, header: { 'idempotency-key': current.key } },
            body: { wasm_sha256: digest, wasm_bytes: file.size },
          }),
        );
        current.number = created.version.number;
        current.upload = created.upload ?? undefined;
        // If this form expires, the next attempt creates another version.
        current.key = crypto.randomUUID();
        if (!isCurrent()) return withdraw(path, current);
        void refresh();
      }
      if (current.upload) {
        setState({ step: 'sending', name: file.name, share: 0 });
        sending.current = send(current.upload, file, (share) => {
          if (isCurrent()) setState({ step: 'sending', name: file.name, share });
        });
        await sending.current.done;
        current.isSent = true;
      }
      const number = current.number ?? 0;
      // This updates the list at once. Without it, guildhook hears of the file a little later.
      await api
        .POST('/api/guilds/{guild_id}/plugins/{plugin_id}/versions/{number}/uploaded', {
          params: { path: { ...path, number } },
        })
        .catch(() => undefined);
      attempt.current = null;
      setState({ step: 'idle' });
      announce(`${file.name} is uploaded as version ${number}. It is being checked.`);
    } catch (error) {
      if (!isCurrent()) return;
      // The storage decides whether the form has expired, not the clock of this machine.
      if (error instanceof UploadError && error.isOver) current.upload = undefined;
      setState(failure(file.name, error));
    } finally {
      sending.current = null;
      void refresh();
    }
  };

  const choose = (file: File) => {
    attempt.current = null;
    if (file.size === 0) {
      setState(mistake(file.name, 'The file is empty. Choose the .wasm file that your build produced.'));
    } else if (file.size > limit) {
      setState(
        mistake(
          file.name,
          `The file has ${bytes(file.size)}; the limit is ${bytes(limit)}. Nothing has been sent. Build the plugin without debug information, then choose the new file.`,
        ),
      );
    } else {
      attempt.current = { file, key: crypto.randomUUID() };
      void run(attempt.current);
    }
  };

  const cancel = () => {
    const given = attempt.current;
    attempt.current = null;
    sending.current?.cancel();
    setState({ step: 'idle' });
    announce('The upload is cancelled.');
    if (given) void withdraw(path, given).then(() => queryClient.invalidateQueries({ queryKey: keys.plugin(path) }));
  };

  return {
    state,
    choose,
    cancel,
    retry: () => attempt.current && run(attempt.current),
    dismiss: () => setState({ step: 'idle' }),
  };
}

/** Deletes the version of a cancelled upload. A file that was sent completely is kept. */
async function withdraw(path: PluginPath, { number, isSent }: Attempt): Promise<void> {
  if (number === undefined || isSent) return;
  await api
    .DELETE('/api/guilds/{guild_id}/plugins/{plugin_id}/versions/{number}', { params: { path: { ...path, number } } })
    .catch(() => undefined);
}

function mistake(name: string, reason: string): UploadState {
  return { step: 'failed', name, reason, problem: null, canRetry: false };
}

function failure(name: string, error: unknown): UploadState {
  if (error instanceof UploadError)
    return { step: 'failed', name, reason: error.message, problem: null, canRetry: true };
  if (error instanceof DOMException && error.name === 'NotReadableError') {
    return mistake(name, 'The file cannot be read: it has been changed or moved since you chose it. Choose it again.');
  }
  const problem = asProblem(error);
  return { step: 'failed', name, reason: problem.message, problem, canRetry: true };
}
