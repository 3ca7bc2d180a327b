import type { Permission } from '../api/types';
import { useDraft } from '../session/drafts';
import { useUnsaved } from '../shell/Leaving';
import { PageHeading } from '../shell/PageHeading';
import { Badge } from '../ui/Badge';
import { Button } from '../ui/Button';
import { Checkbox } from '../ui/Checkbox';
import { Empty } from '../ui/Empty';
import { permission } from '../words/names';
import { ChangeNotices } from './ChangeNotices';
import { patch, usePluginChange } from './change';
import { usePlugin } from './PluginLayout';

export function PermissionsPage() {
  const { guild, plugin } = usePlugin();
  const changes = usePluginChange(plugin);
  const [draft, setDraft, dropDraft] = useDraft<Permission[] | null>(`permissions.${plugin.id}`, null);
  const granted = draft ?? plugin.permissions;
  const offered = [...new Set([...guild.grantable, ...plugin.permissions])];
  const isChanged = draft !== null && !same(draft, plugin.permissions);
  const guard = useUnsaved(isChanged);
  return (
    <>
      {guard}
      <PageHeading title={['Permissions', plugin.name]} level={2}>
        Permissions
      </PageHeading>
      <p className="muted">
        The plugin can do only the things that are allowed here. Any other call fails inside the plugin, and its run
        shows the refused call.
      </p>
      <ChangeNotices changes={changes} onTakeTheirs={() => dropDraft(null)} />
      {offered.length === 0 ? (
        <Empty title="There are no permissions to allow">
          <p>Your operator has not offered any permission to the plugins of this guild. Ask the operator.</p>
        </Empty>
      ) : (
        <ul className="grants">
          {offered.map((name) => {
            const words = permission(name);
            const needed = plugin.live?.needs.includes(name) ?? false;
            return (
              <li key={name}>
                <Checkbox
                  isSelected={granted.includes(name)}
                  isDisabled={changes.isPending}
                  onChange={(selected) =>
                    setDraft(selected ? [...granted, name] : granted.filter((each) => each !== name))
                  }
                >
                  <span className="grant-name">{words.name}</span>
                  <span className="muted">{words.means}</span>
                </Checkbox>
                {needed ? (
                  <Badge tone={granted.includes(name) ? 'info' : 'warn'}>
                    {granted.includes(name) ? 'used by the live version' : 'the live version needs it'}
                  </Badge>
                ) : (
                  granted.includes(name) && <Badge tone="quiet">not used by the live version</Badge>
                )}
              </li>
            );
          })}
        </ul>
      )}
      <div className="actions">
        <Button
          kind="primary"
          isDisabled={!isChanged}
          isPending={changes.isPending}
          onPress={() =>
            changes.submit({
              what: 'change its permissions',
              done: 'The permissions are saved.',
              send: async (etag) => {
                const changed = await patch(plugin, { permissions: [...granted] })(etag);
                dropDraft(null);
                return changed;
              },
            })
          }
        >
          Save
        </Button>
        {isChanged && <Button onPress={() => dropDraft(null)}>Discard</Button>}
      </div>
    </>
  );
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((each) => other.includes(each));
}
