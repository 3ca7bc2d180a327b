import { lazy, Suspense, useMemo, useState } from 'react';
import type { FieldError, Settings } from '../api/types';
import { ChangeNotices } from '../plugins/ChangeNotices';
import { type Conflict, patch, usePluginChange } from '../plugins/change';
import { usePlugin } from '../plugins/PluginLayout';
import { useDraft } from '../session/drafts';
import { announce } from '../shell/announce';
import { useUnsaved } from '../shell/Leaving';
import { PageHeading } from '../shell/PageHeading';
import { Button } from '../ui/Button';
import { Loading } from '../ui/Loading';
import { Scrollable } from '../ui/Scrollable';
import { Views } from '../ui/Views';
import { count } from '../words/format';
import { check } from './check';
import { asSchema, parse, pretty, type Schema, same } from './dialect';
import { History } from './History';
import { below } from './pointer';
import { Secrets } from './Secrets';

const SettingsForm = lazy(() => import('./SettingsForm'));
const JsonEditor = lazy(() => import('./JsonEditor'));

interface Draft {
  text: string;
  /** The ETag of the plugin when the draft began. */
  base: Settings;
  etag: string;
}

export function SettingsPage() {
  const { plugin } = usePlugin();
  const changes = usePluginChange(plugin);
  const schema = useMemo(() => asSchema(plugin.live?.settings_schema), [plugin.live?.settings_schema]);
  const [draft, setDraft, dropDraft] = useDraft<Draft | null>(`settings.${plugin.id}`, null);
  const [view, setView] = useState<'form' | 'json'>(schema ? 'form' : 'json');
  const [found, setFound] = useState<readonly FieldError[]>([]);

  const text = draft?.text ?? pretty(plugin.settings);
  const parsed = useMemo(() => parse(text), [text]);
  const isChanged = draft !== null && !(parsed.value && same(parsed.value, plugin.settings));
  const guard = useUnsaved(isChanged);
  const fromServer = useMemo(
    () =>
      (changes.problem?.fields ?? []).flatMap((field) => {
        const pointer = below('/settings', field.pointer);
        return pointer === null ? [] : [{ pointer, message: field.message }];
      }),
    [changes.problem],
  );
  const errors = found.length > 0 ? found : fromServer;

  const edit = (written: string) => {
    setFound([]);
    if (changes.problem) changes.dropProblem();
    setDraft({ text: written, base: draft?.base ?? plugin.settings, etag: draft?.etag ?? plugin.etag });
  };
  const discard = () => {
    setFound([]);
    changes.dropProblem();
    dropDraft(null);
  };
  const save = async () => {
    const { value } = parsed;
    if (!value) return;
    const wrong = schema
      ? check(
          schema,
          value,
          plugin.secrets.map((secret) => secret.name),
        )
      : [];
    setFound(wrong);
    if (wrong.length > 0) {
      announce(`Not saved: ${count(wrong.length, 'setting')} to mend.`);
      return;
    }
    await changes.submit({
      what: 'save its settings',
      done: 'The settings are saved.',
      etag: draft?.etag,
      isElsewhere: (theirs) => same(theirs.settings, draft?.base ?? plugin.settings),
      send: async (etag) => {
        const changed = await patch(plugin, { settings: value })(etag);
        dropDraft(null);
        return changed;
      },
    });
  };

  return (
    <>
      {guard}
      <PageHeading title={['Settings', plugin.name]} level={2} isHidden>
        Settings
      </PageHeading>
      <ChangeNotices
        changes={changes}
        hidesFields={fromServer.length > 0}
        compare={(conflict) => <Compare conflict={conflict} mine={text} />}
        onTakeTheirs={discard}
      />
      <section className="section" aria-labelledby="settings-heading">
        <div className="toolbar">
          <h3 id="settings-heading">Settings</h3>
          {schema && (
            <Views
              label="Edit as"
              views={{ form: 'Form', json: 'JSON' }}
              value={view}
              onChange={setView}
              isDisabled={(other) => other === 'form' && parsed.value === null}
            />
          )}
        </div>
        {!schema && (
          <p className="muted">
            {plugin.live
              ? 'The live version does not describe its settings, so there is no form. Ask its author which settings it has, and write them as JSON.'
              : 'No version is live. If the live version describes its settings, a form is shown here.'}
          </p>
        )}
        {errors.length > 0 && <Errors errors={errors} schema={schema} />}
        <Suspense fallback={<Loading what="the editor" />}>
          {schema && view === 'form' && parsed.value ? (
            <SettingsForm
              schema={schema}
              value={parsed.value}
              errors={errors}
              isDisabled={changes.isPending}
              onChange={(value) => edit(pretty(value))}
            />
          ) : (
            <JsonEditor label="Settings as JSON" text={text} errors={errors} onChange={edit} />
          )}
        </Suspense>
        {parsed.value === null && <p className="field-error">{parsed.reason}</p>}
        <div className="actions actions-sticky">
          <Button
            kind="primary"
            isDisabled={!isChanged || parsed.value === null}
            isPending={changes.pending === 'save its settings'}
            onPress={save}
          >
            Save
          </Button>
          {isChanged && <Button onPress={discard}>Discard</Button>}
          {isChanged && <span className="muted">Not saved yet</span>}
        </div>
      </section>
      <Secrets plugin={plugin} schema={schema} />
      <History plugin={plugin} hasDraft={isChanged} />
    </>
  );
}

function Errors({ errors, schema }: { errors: readonly FieldError[]; schema: Schema | null }) {
  return (
    <div className="notice notice-bad" role="alert">
      <p className="notice-title">The settings are not saved: correct {count(errors.length, 'setting')}</p>
      <ul>
        {errors.map(({ pointer, message }) => (
          <li key={`${pointer} ${message}`}>
            <strong>{nameOf(pointer, schema)}</strong> {message}
          </li>
        ))}
      </ul>
    </div>
  );
}

function nameOf(pointer: string, schema: Schema | null): string {
  if (pointer === '') return 'The settings';
  const title = schema?.properties?.[pointer.slice(1)]?.title;
  return title ?? pointer.slice(1).replaceAll('/', ' › ');
}

function Compare({ conflict, mine }: { conflict: Conflict; mine: string }) {
  return (
    <div className="compare">
      <figure>
        <figcaption>Their settings, which are saved</figcaption>
        <Scrollable label="Their settings">
          <pre className="log">{pretty(conflict.theirs.settings)}</pre>
        </Scrollable>
      </figure>
      <figure>
        <figcaption>Your settings, which are not saved</figcaption>
        <Scrollable label="Your settings">
          <pre className="log">{mine}</pre>
        </Scrollable>
      </figure>
    </div>
  );
}
