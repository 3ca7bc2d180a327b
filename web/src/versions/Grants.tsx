import type { Permission, Version } from '../api/types';
import { Badge } from '../ui/Badge';
import { Checkbox } from '../ui/Checkbox';
import { permission } from '../words/names';

interface Props {
  version: Version;
  /** The permissions that need consent. */
  newly: readonly Permission[];
  consent: readonly Permission[];
  isDisabled: boolean;
  onChange: (consent: readonly Permission[]) => void;
}

/** The permissions that a version needs, with a checkbox for each that the plugin does not have yet. */
export function Grants({ version, newly, consent, isDisabled, onChange }: Props) {
  return (
    <>
      <h3>Permissions that it needs</h3>
      {version.needs.length === 0 && (
        <p className="muted">It needs no permission: it can read messages, and cannot send any.</p>
      )}
      <ul className="grants">
        {version.needs.map((name) => {
          const words = permission(name);
          return (
            <li key={name}>
              {newly.includes(name) ? (
                <>
                  <Checkbox
                    isSelected={consent.includes(name)}
                    isDisabled={isDisabled}
                    onChange={(selected) =>
                      onChange(selected ? [...consent, name] : consent.filter((each) => each !== name))
                    }
                  >
                    <span className="grant-name">Allow: {words.name.toLowerCase()}</span>
                    <span className="muted">{words.means}</span>
                  </Checkbox>
                  <Badge tone="warn">new</Badge>
                </>
              ) : (
                <>
                  <span>
                    <span className="grant-name">{words.name}</span>
                    <span className="muted">{words.means}</span>
                  </span>
                  <Badge tone="quiet">already allowed</Badge>
                </>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
