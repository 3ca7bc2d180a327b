import type { Explanation, HostCall, Intent, Outcome, Permission, VersionState } from '../api/types';
import type { Tone } from '../ui/Badge';
import { bytes } from './format';

interface Words {
  name: string;
  tone: Tone;
}

interface Outcomes extends Words {
  /** The meaning of the outcome, and the remedy. */
  advice: string;
}

export const OUTCOMES: Record<Outcome, Outcomes> = {
  ok: { name: 'ok', tone: 'good', advice: 'The plugin ran to its end. Its messages were handed to the chat server.' },
  trap: {
    name: 'crashed',
    tone: 'bad',
    advice:
      'The plugin crashed: it panicked, raised an exception or could not get more memory. Nothing was sent. Read its log to find the place, then upload a corrected version and replay the run on it.',
  },
  out_of_fuel: {
    name: 'out of fuel',
    tone: 'warn',
    advice:
      'The plugin used up its fuel: it has an endless loop, or does more work than a run may do. Nothing was sent. Change the plugin so that it does less for each message.',
  },
  out_of_memory: {
    name: 'out of memory',
    tone: 'warn',
    advice:
      'The plugin needed more memory than a run may have. Nothing was sent. Change the plugin so that it keeps less in memory.',
  },
  deadline: {
    name: 'out of time',
    tone: 'warn',
    advice:
      'The plugin took longer than a run may take. Nothing was sent. Change the plugin so that it does less for each message.',
  },
  host_call_limit: {
    name: 'too many calls',
    tone: 'warn',
    advice:
      'The plugin called guildhook more often than a run may. Nothing was sent. Change the plugin so that it logs, reads and writes less often.',
  },
  invalid: {
    name: 'not loadable',
    tone: 'bad',
    advice: 'The plugin could not be loaded or started. Build it again, and upload it as a new version.',
  },
  internal: {
    name: 'guildhook’s fault',
    tone: 'info',
    advice: 'Something failed in guildhook, not in the plugin. If it happens again, tell the operator.',
  },
};

export const STATES: Record<VersionState, Words> = {
  expected: { name: 'waiting for its file', tone: 'quiet' },
  uploaded: { name: 'uploaded', tone: 'info' },
  checking: { name: 'checking', tone: 'info' },
  compiling: { name: 'compiling', tone: 'info' },
  ready: { name: 'ready', tone: 'good' },
  refused: { name: 'refused', tone: 'bad' },
};

const PERMISSIONS: Record<Permission, { name: string; means: string }> = {
  SEND_MESSAGES: { name: 'Send messages', means: 'The plugin can send messages to the channels of this guild.' },
};

export function permission(name: string): { name: string; means: string } {
  return (
    PERMISSIONS[name as Permission] ?? {
      name,
      means: 'This page does not know this permission yet. Ask your operator about it.',
    }
  );
}

export function delivery(send: Intent): Words & { detail: string | null } {
  switch (send.state) {
    case 'delivered':
      return { name: 'sent', tone: 'good', detail: null };
    case 'pending':
      return { name: 'waiting', tone: 'warn', detail: send.detail };
    case 'refused':
      return { name: 'not sent', tone: 'bad', detail: send.detail };
    default:
      return { name: 'never sent', tone: 'quiet', detail: 'Test runs, replays and shadow runs send nothing.' };
  }
}

export function callResult(call: HostCall): Words {
  return call.denied === null ? { name: 'allowed', tone: 'good' } : { name: 'denied', tone: 'bad' };
}

type Cause = Explanation['reasons'][number]['cause'];

export const CAUSES: Record<Cause, Words & { advice: string }> = {
  ran: { name: 'it ran', tone: 'good', advice: 'See the run below.' },
  deleted: { name: 'deleted', tone: 'quiet', advice: 'Nothing is to be done: guildhook forgets deleted messages.' },
  disabled: { name: 'disabled', tone: 'quiet', advice: 'Enable the plugin on its overview.' },
  not_live: { name: 'no live version', tone: 'quiet', advice: 'Upload a version, and let it go live.' },
  refused: { name: 'refused', tone: 'bad', advice: 'Upload a version that can be loaded.' },
  quarantined: {
    name: 'quarantined',
    tone: 'bad',
    advice: 'The overview of the plugin shows the reason. Try it again there.',
  },
  over_budget: { name: 'waits for the budget', tone: 'warn', advice: 'Wait: it will run in one of the next minutes.' },
  bot_message: {
    name: 'a bot wrote it',
    tone: 'quiet',
    advice: 'If the plugin should answer bots, switch on “Messages of bots too” on its overview.',
  },
  nothing_to_say: {
    name: 'had nothing to say',
    tone: 'quiet',
    advice:
      'A run that ends well without a message, a log line or a new state is counted but not recorded. Open Test, and type the message there to see the run.',
  },
  not_delivered: { name: 'not delivered', tone: 'bad', advice: 'The run below shows the answer of the chat server.' },
  not_seen: {
    name: 'never seen',
    tone: 'quiet',
    advice: 'Check that the id is that of the message, and not that of the channel.',
  },
};

const ACTIONS: Record<string, string> = {
  'budget.raised': 'raised the guild’s budget',
  'budget.reset': 'set the guild’s budget back',
  'content.opened': 'looked at messages and logs',
  'guild.changed': 'changed the guild’s settings',
  'guild.paused': 'paused the guild',
  'guild.resumed': 'ended the guild’s pause',
  'plugin.created': 'created it',
  'plugin.changed': 'changed it',
  'plugin.deleted': 'deleted it',
  'plugin.disabled': 'disabled it',
  'plugin.enabled': 'let it run again',
  'plugin.quarantined': 'quarantined it',
  'plugin.live': 'let a version go live',
  'plugin.rolled_back': 'rolled it back',
  'plugin.shadow': 'changed its shadow',
  'quarantine.ended': 'ended its quarantine',
  'secret.set': 'set a secret',
  'settings.restored': 'restored earlier settings',
  'secret.deleted': 'removed a secret',
  'version.created': 'uploaded a version',
  'version.deleted': 'deleted a version',
};

/** An action of the audit log in words. */
export function action(name: string): string {
  return ACTIONS[name] ?? name.replaceAll(/[._-]/g, ' ');
}

/** The other details of an entry of the audit log, in one line. */
export function actionDetail(detail: Record<string, unknown>): string {
  const { from, to, ...rest } = detail;
  const change = 'to' in detail ? [fromTo(from, to)] : [];
  return [...change, ...Object.entries(rest).flatMap(([name, value]) => detailPart(name, value))].join(' · ');
}

function detailPart(name: string, value: unknown): string[] {
  const label = name.replaceAll('_', ' ');
  if (value === null || (Array.isArray(value) && value.length === 0)) return [];
  if (name === 'wasm_sha256') return [`SHA-256 ${String(value).slice(0, 12)}…`];
  if (name === 'wasm_bytes') return [bytes(Number(value))];
  if (Array.isArray(value)) return [`${label}: ${value.map(text).join(', ')}`];
  if (typeof value === 'object') {
    if ('to' in value) return [`${label}: ${fromTo((value as { from?: unknown }).from, value.to)}`];
    const parts = Object.entries(value).flatMap(([key, part]) => detailPart(key, part));
    return parts.length > 0 ? [`${label}: ${parts.join(', ')}`] : [];
  }
  return [`${label}: ${text(value)}`];
}

function fromTo(from: unknown, to: unknown): string {
  return `${text(from)} → ${text(to)}`;
}

function text(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'string') return value;
  return JSON.stringify(value);
}
