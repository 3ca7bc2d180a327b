import { DropZone } from 'react-aria-components/DropZone';
import { FileTrigger } from 'react-aria-components/FileTrigger';
import { Label } from 'react-aria-components/Label';
import { ProgressBar } from 'react-aria-components/ProgressBar';
import { Text } from 'react-aria-components/Text';
import type { PluginPath } from '../api/queries';
import { useSignIn } from '../session/Session';
import { useLeaving } from '../shell/Leaving';
import { Button } from '../ui/Button';
import { ProblemNotice } from '../ui/ProblemNotice';
import { bytes } from '../words/format';
import { useUpload } from './useUpload';

export function UploadBox({ path, isFirst }: { path: PluginPath; isFirst: boolean }) {
  const { max_wasm_bytes: limit } = useSignIn();
  const { state, choose, cancel, retry, dismiss } = useUpload(path);
  const isBusy = state.step === 'reading' || state.step === 'announcing' || state.step === 'sending';
  const guard = useLeaving(
    isBusy,
    'The upload is not finished',
    'If you leave this page now, the upload is cancelled and nothing of it is kept.',
  );
  return (
    <>
      {guard}
      {state.step === 'failed' &&
        (state.problem ? (
          <ProblemNotice problem={state.problem} onRetry={retry} />
        ) : (
          <div className="notice notice-bad" role="alert">
            <p className="notice-title">{state.name} was not uploaded</p>
            <p>{state.reason}</p>
            <div className="actions">
              {state.canRetry && <Button onPress={retry}>Try again</Button>}
              <Button kind="quiet" onPress={dismiss}>
                Dismiss
              </Button>
            </div>
          </div>
        ))}
      <DropZone
        className="drop"
        isDisabled={isBusy}
        getDropOperation={() => 'copy'}
        onDrop={async ({ items }) => {
          const item = items.find((each) => each.kind === 'file');
          if (item) choose(await item.getFile());
        }}
      >
        {isBusy ? (
          <div className="drop-busy">
            <Progress state={state} />
            <Button onPress={cancel}>Cancel</Button>
          </div>
        ) : (
          <>
            <Text slot="label" className="drop-title">
              {isFirst ? 'Drop the plugin’s .wasm file here' : 'Drop a new version’s .wasm file here'}
            </Text>
            <p className="muted">
              The file must be a WebAssembly component of at most {bytes(limit)}. It is checked and compiled, and runs
              only after you let it go live.
            </p>
            <FileTrigger
              acceptedFileTypes={['.wasm', 'application/wasm']}
              onSelect={(files) => {
                if (files?.[0]) choose(files[0]);
              }}
            >
              <Button kind={isFirst ? 'primary' : 'plain'}>Choose a file …</Button>
            </FileTrigger>
          </>
        )}
      </DropZone>
    </>
  );
}

function Progress({ state }: { state: { step: string; name?: string; share?: number } }) {
  const share = state.step === 'sending' ? (state.share ?? 0) : 0;
  const text =
    state.step === 'reading'
      ? 'reading the file'
      : state.step === 'announcing'
        ? 'starting'
        : `${Math.round(share * 100)} %`;
  return (
    <ProgressBar className="bar" value={share * 100} isIndeterminate={state.step !== 'sending'} valueLabel={text}>
      <Label className="bar-label">Uploading {state.name}</Label>
      <span className="bar-text">{text}</span>
      <svg className="bar-track" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect width={share * 100} height="1" />
      </svg>
    </ProgressBar>
  );
}
