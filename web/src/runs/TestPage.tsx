import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, lazy, Suspense, useRef } from 'react';
import { Link, useSearchParams } from 'react-router';
import { answer, api } from '../api/client';
import { asProblem } from '../api/problem';
import { versionsQuery } from '../api/queries';
import { usePlugin } from '../plugins/PluginLayout';
import { useDraft } from '../session/drafts';
import { parse, pretty } from '../settings/dialect';
import { announce } from '../shell/announce';
import { PageHeading } from '../shell/PageHeading';
import { Button } from '../ui/Button';
import { Empty } from '../ui/Empty';
import { Choice, TextArea, TextField } from '../ui/Field';
import { Loading } from '../ui/Loading';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Switch } from '../ui/Switch';
import { Written } from '../ui/Written';
import { OUTCOMES } from '../words/names';
import { Result } from './Result';
import { VersionOptions } from './VersionOptions';

const JsonEditor = lazy(() => import('../settings/JsonEditor'));

interface Draft {
  content: string;
  author: string;
  /** The settings of the test; null to use the plugin's own. */
  settings: string | null;
  keepState: boolean;
}

const EMPTY: Draft = { content: '', author: 'you', settings: null, keepState: true };

export function TestPage() {
  const { plugin } = usePlugin();
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };
  const query = useQuery(versionsQuery(path));
  const versions = (query.data?.items ?? []).filter((version) => version.state === 'ready');
  const [search, setSearch] = useSearchParams();
  const [draft, setDraft] = useDraft<Draft>(`test.${plugin.id}`, EMPTY);
  const result = useRef<HTMLHeadingElement>(null);
  const asked = Number(search.get('version'));
  const version = (versions.find((each) => each.number === asked) ?? versions.find((each) => each.live) ?? versions[0])
    ?.number;
  const parsed = draft.settings === null ? null : parse(draft.settings);

  const test = useMutation({
    mutationFn: (number: number) =>
      answer(
        api.POST('/api/guilds/{guild_id}/plugins/{plugin_id}/test-runs', {
          params: { path },
          body: {
            version: number,
            message: { content: draft.content, author_name: draft.author || 'you' },
            settings: parsed?.value ?? null,
            keep_state: draft.keepState,
          },
        }),
      ),
    onSuccess: (run) => {
      announce(`The test ended: ${OUTCOMES[run.outcome].name}.`);
      requestAnimationFrame(() => result.current?.focus());
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (version !== undefined) test.mutate(version);
  };

  return (
    <>
      <PageHeading title={['Test', plugin.name]} level={2}>
        Test with a message
      </PageHeading>
      <p className="muted">The test runs in the real sandbox. Nothing is sent, and the state is not changed.</p>
      {query.data && versions.length === 0 ? (
        <Empty title="No version is ready to run">
          <p>
            <Link to="../versions" relative="path">
              Upload a version
            </Link>
            , and wait until it is compiled.
          </p>
        </Empty>
      ) : (
        <div className="test">
          <form className="form" onSubmit={submit}>
            <Choice
              label="Version"
              value={version ?? ''}
              onChange={(event) => setSearch({ version: event.target.value }, { replace: true })}
            >
              <VersionOptions versions={versions} />
            </Choice>
            <TextArea
              label="Message"
              required
              maxLength={4_000}
              rows={3}
              value={draft.content}
              onChange={(event) => setDraft({ ...draft, content: event.target.value })}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
                  event.currentTarget.form?.requestSubmit();
              }}
              hint="Press Ctrl+Enter to run the test."
            />
            <TextField
              label="Written by"
              required
              maxLength={64}
              value={draft.author}
              onChange={(event) => setDraft({ ...draft, author: event.target.value })}
            />
            <Switch isSelected={draft.keepState} onChange={(keepState) => setDraft({ ...draft, keepState })}>
              Start with the current state
            </Switch>
            <Switch
              isSelected={draft.settings !== null}
              onChange={(other) => setDraft({ ...draft, settings: other ? pretty(plugin.settings) : null })}
            >
              Use other settings
            </Switch>
            {draft.settings !== null && (
              <>
                <Suspense fallback={<Loading what="the editor" />}>
                  <JsonEditor
                    label="Settings of the test, as JSON"
                    text={draft.settings}
                    onChange={(settings) => setDraft({ ...draft, settings })}
                  />
                </Suspense>
                {parsed?.value === null && <p className="field-error">{parsed.reason}</p>}
              </>
            )}
            <div className="actions">
              <Button
                kind="primary"
                type="submit"
                isDisabled={version === undefined || parsed?.value === null}
                isPending={test.isPending}
              >
                Run
              </Button>
            </div>
          </form>
          <section className="test-result" aria-label="Result">
            {test.error && <ProblemNotice problem={asProblem(test.error)} />}
            {test.data ? (
              <>
                <h3 ref={result} tabIndex={-1}>
                  Result of version {test.data.version}
                </h3>
                <Result run={test.data} />
                {test.data.state && (
                  <section>
                    <h3>State after the test</h3>
                    <dl className="state">
                      {Object.entries(test.data.state).map(([key, value]) => (
                        <div key={key}>
                          <dt>
                            <Written text={key} />
                          </dt>
                          <dd>
                            <Written text={value} />
                          </dd>
                        </div>
                      ))}
                    </dl>
                  </section>
                )}
              </>
            ) : (
              !test.error && (
                <p className="muted test-nothing">
                  The messages, the log and the used limits of the test are shown here.
                </p>
              )
            )}
          </section>
        </div>
      )}
    </>
  );
}
