import type { Version } from '../api/types';

export function VersionOptions({ versions }: { versions: readonly Version[] }) {
  return versions.map((version) => (
    <option key={version.id} value={version.number}>
      Version {version.number}
      {version.live ? ' (live)' : version.shadow ? ' (shadow)' : ''}
    </option>
  ));
}
