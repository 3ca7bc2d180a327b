import type { FieldError } from '../api/types';
import { below } from '../settings/pointer';

/** The errors of settings that a version does not take. */
export function SettingsErrors({ errors }: { errors: readonly FieldError[] }) {
  return (
    <ul className="field-error">
      {errors.map(({ pointer, message }) => (
        <li key={`${pointer} ${message}`}>
          <code>{below('/settings', pointer) || '/'}</code> {message}
        </li>
      ))}
    </ul>
  );
}
