import type { Outcome } from '../api/types';
import { Badge } from '../ui/Badge';
import { OUTCOMES } from '../words/names';

export function OutcomeBadge({ outcome }: { outcome: Outcome }) {
  const { name, tone } = OUTCOMES[outcome];
  return <Badge tone={tone}>{name}</Badge>;
}
