import { useState } from 'react';
import { answer, api } from '../api/client';
import type { Plugin } from '../api/types';
import { ChangeNotices } from '../plugins/ChangeNotices';
import { usePluginChange } from '../plugins/change';
import { fieldError } from '../plugins/fieldError';
import { Badge } from '../ui/Badge';
import { Button } from '../ui/Button';
import { TextField } from '../ui/Field';
import { Time } from '../ui/Time';
import { type Schema, secretsOf } from './dialect';

interface Props {
  plugin: Plugin;
  schema: Schema | null;
}

interface Secret {
  name: string;
  title: string;
  description: string | undefined;
  isRequired: boolean;
  updatedAt: string | null;
}

/** Secrets can be set, replaced and removed. No secret is ever shown, and this page keeps none. */
export function Secrets({ plugin, schema }: Props) {
  const changes = usePluginChange(plugin);
  const [open, setOpen] = useState<string | null>(null);
  const secrets = listed(plugin, schema);
  const takesMore = schema?.additionalProperties !== false;
  const path = { guild_id: plugin.guild_id, plugin_id: plugin.id };

  const set = (name: string, value: string) =>
    changes.submit({
      what: `set the secret ${name}`,
      done: `${name} is set.`,
      isElsewhere: () => true,
      send: async (etag) => {
        const changed = await answer(
          api.PUT('/api/guilds/{guild_id}/plugins/{plugin_id}/secrets/{name}', {
            params: { path: { ...path, name }, header: { 'if-match': etag } },
            body: { value },
          }),
        );
        setOpen(null);
        return changed;
      },
    });
  const remove = (name: string) =>
    changes.submit({
      what: `remove the secret ${name}`,
      done: `${name} is removed.`,
      isElsewhere: () => true,
      send: (etag) =>
        answer(
          api.DELETE('/api/guilds/{guild_id}/plugins/{plugin_id}/secrets/{name}', {
            params: { path: { ...path, name }, header: { 'if-match': etag } },
          }),
        ),
    });

  return (
    <section className="section" aria-labelledby="secrets-heading">
      <h3 id="secrets-heading">Secrets</h3>
      <p className="muted">
        Kept encrypted, given to the plugin with its settings, and shown to nobody again. A new value replaces the old
        one.
      </p>
      <ChangeNotices changes={changes} />
      {secrets.length > 0 && (
        <ul className="secrets">
          {secrets.map((secret) => (
            <li key={secret.name}>
              <div className="secret">
                <div>
                  <span className="grant-name">{secret.title}</span>
                  {secret.title !== secret.name && <code className="muted"> {secret.name}</code>}
                  {secret.description && <p className="field-hint">{secret.description}</p>}
                </div>
                {secret.updatedAt ? (
                  <span className="muted">
                    set <Time at={secret.updatedAt} />
                  </span>
                ) : (
                  <Badge tone={secret.isRequired ? 'warn' : 'quiet'}>
                    {secret.isRequired ? 'needed, not set' : 'not set'}
                  </Badge>
                )}
                <div className="actions">
                  {open !== secret.name && (
                    <Button
                      onPress={() => setOpen(secret.name)}
                      aria-label={`${secret.updatedAt ? 'Replace' : 'Set'} ${secret.title}`}
                    >
                      {secret.updatedAt ? 'Replace' : 'Set'}
                    </Button>
                  )}
                  {secret.updatedAt && (
                    <Button
                      kind="quiet"
                      isPending={changes.pending === `remove the secret ${secret.name}`}
                      onPress={() => remove(secret.name)}
                      aria-label={`Remove ${secret.title}`}
                    >
                      Remove
                    </Button>
                  )}
                </div>
              </div>
              {open === secret.name && (
                <SecretForm
                  name={secret.name}
                  error={fieldError(changes.problem, '/value')}
                  isPending={changes.isPending}
                  onSet={set}
                  onClose={() => setOpen(null)}
                />
              )}
            </li>
          ))}
        </ul>
      )}
      {takesMore &&
        (open === '' ? (
          <SecretForm
            name={null}
            error={fieldError(changes.problem, '/value')}
            isPending={changes.isPending}
            onSet={set}
            onClose={() => setOpen(null)}
          />
        ) : (
          <Button onPress={() => setOpen('')}>Add a secret</Button>
        ))}
    </section>
  );
}

interface FormProps {
  /** The name of the secret; null to let the admin choose one. */
  name: string | null;
  error: string | null;
  isPending: boolean;
  onSet: (name: string, value: string) => void;
  onClose: () => void;
}

function SecretForm({ name, error, isPending, onSet, onClose }: FormProps) {
  const [chosen, setChosen] = useState('');
  const [value, setValue] = useState('');
  return (
    <form
      className="form secret-form"
      onSubmit={(event) => {
        event.preventDefault();
        onSet(name ?? chosen, value);
      }}
    >
      {name === null && (
        <TextField
          label="Name"
          required
          autoFocus
          autoComplete="off"
          pattern="[A-Za-z_][A-Za-z0-9_.\-]{0,63}"
          title="Letters, digits, _ . and -, and a letter or _ first; 64 at the most"
          value={chosen}
          onChange={(event) => setChosen(event.target.value)}
        />
      )}
      <TextField
        label={name === null ? 'Value' : `New value of ${name}`}
        type="password"
        required
        autoFocus={name !== null}
        autoComplete="new-password"
        maxLength={4_096}
        value={value}
        error={error}
        onChange={(event) => setValue(event.target.value)}
      />
      <div className="actions">
        <Button kind="primary" type="submit" isPending={isPending}>
          Set
        </Button>
        <Button onPress={onClose}>Cancel</Button>
      </div>
    </form>
  );
}

function listed(plugin: Plugin, schema: Schema | null): Secret[] {
  const set = new Map(plugin.secrets.map((secret) => [secret.name, secret.updated_at]));
  const described = secretsOf(schema).map(([name, property]) => ({
    name,
    title: property.title ?? name,
    description: property.description,
    isRequired: schema?.required?.includes(name) ?? false,
    updatedAt: set.get(name) ?? null,
  }));
  const known = new Set(described.map((secret) => secret.name));
  const others = plugin.secrets
    .filter((secret) => !known.has(secret.name))
    .map((secret) => ({
      name: secret.name,
      title: secret.name,
      description: undefined,
      isRequired: false,
      updatedAt: secret.updated_at,
    }));
  return [...described, ...others];
}
