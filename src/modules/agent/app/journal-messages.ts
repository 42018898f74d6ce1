import { sql } from 'kysely';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { SERVER_SOURCE } from '../../../common/acp/message-source.js';
import type { AuditEntry } from '../../../common/audit/audit-log.js';
import { SYSTEM } from '../../../common/auth/actor.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ProgressDetails } from '../domain/container-runtime.js';
import type { Granted } from '../domain/credentials.js';
import { statusMessage, type StreamDB } from './message-log.js';

/** What an attempt goes through, as its messages tell. Pauses, and the wait for the end, are part of `monitoring`. */
export type Phase = 'preparation' | 'launch' | 'monitoring' | 'clean_up';

export { SERVER_SOURCE };

const NOT_GRANTED = 'mounts_not_granted';

/**
 * What the server tells of its work: with details it is a `progress` message, marked as the server's own so that
 * nobody takes it for the agent's; in words alone a `status` message.
 */
export function phaseMessage(
  status: string,
  phase: Phase,
  message: string,
  details: ProgressDetails = {},
): MessageDraft {
  const { percent, ...rest } = details;
  if (Object.keys(details).length === 0) return statusMessage(status, message, { phase });
  const progress = percent === undefined ? {} : { progress: percent };
  const data = { ...rest, ...progress, message, phase, source: SERVER_SOURCE };
  return { type: 'progress', timestamp: new Date().toISOString(), level: null, data };
}

/** Preparation begins. */
export function preparing(): MessageDraft {
  return phaseMessage('STARTING', 'preparation', 'preparing the workspace');
}

/** The container is made; with the credentials that were asked for and are not there. */
export function launching(missing: readonly string[]): MessageDraft {
  const details = { phase: 'launch', ...(missing.length > 0 ? { [NOT_GRANTED]: missing } : {}) };
  return statusMessage('STARTING', 'starting the agent', details);
}

/** The agent is let through. */
export function running(caveats: Record<string, unknown>): MessageDraft {
  return statusMessage('RUNNING', 'the agent runs', { phase: 'monitoring', ...caveats });
}

/** {@link caveatsOf} for who has just made the grants. */
export function knownCaveats(instance: AgentInstance, missing: readonly string[]): Record<string, unknown> {
  const not_enforced = notEnforced(instance);
  return {
    ...(not_enforced.length > 0 ? { not_enforced } : {}),
    ...(missing.length > 0 ? { [NOT_GRANTED]: missing } : {}),
  };
}

/** What people should not rely on, of an agent that runs: limits that nothing holds, credentials it was not given. */
export async function caveatsOf(tx: Tx, instance: AgentInstance): Promise<Record<string, unknown>> {
  const not_enforced = notEnforced(instance);
  return { ...(not_enforced.length > 0 ? { not_enforced } : {}), ...(await notGranted(tx, instance)) };
}

/** A process is held to nothing; of a container the look at it has said. */
function notEnforced({ runtime, resource_limits, sandbox }: AgentInstance): string[] {
  if (runtime !== 'process') return sandbox?.not_enforced ?? [];
  return ['cpu_limit', 'memory_limit', 'disk_limit'].filter((limit) => limit in (resource_limits ?? {}));
}

/** As the message of the launch has it: whoever goes on after a restart has made no grants. */
async function notGranted(tx: Tx, { id }: AgentInstance): Promise<Record<string, unknown>> {
  const row = await tx
    .kysely<StreamDB>()
    .selectFrom('acp_messages')
    .select('data')
    .where('agent_id', '=', id)
    .where('type', '=', 'status')
    .where(sql<string>`data ->> 'source'`, '=', SERVER_SOURCE) // an agent's own may be as many as it likes
    .orderBy('seq', 'desc')
    .limit(20) // the launch is among the last ones: nothing but a few words of the server's came after it
    .execute();
  const launch = row.find(({ data }) => data['phase'] === 'launch');
  const missing = launch?.data[NOT_GRANTED];
  return missing === undefined ? {} : { [NOT_GRANTED]: missing };
}

/** A line of the server's own in the log. */
export function warning(message: string): MessageDraft {
  const data = { level: 'warn', message, metadata: { source: SERVER_SOURCE } };
  return { type: 'log', timestamp: new Date().toISOString(), level: 'warn', data };
}

/** The audit log's lines of what an attempt was given: kinds and names, no values. */
export function grantEntries(
  { id, task_id, run_id, agent_type, requested_by }: AgentInstance,
  { granted }: Pick<Granted, 'granted'>,
): AuditEntry[] {
  return granted.map(({ kind, names, from }) => ({
    ...{ action: 'credential.granted' as const, actor: SYSTEM, subject: { type: 'agent', id } },
    data: { kind, names, from, task_id, run_id, agent_type, requested_by },
  }));
}
