import { sql } from 'kysely';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { SERVER_SOURCE } from '../../../common/acp/message-source.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ProgressDetails } from '../domain/container-runtime.js';
import { statusMessage, type StreamDB } from './message-log.js';

/** What an attempt goes through, as its messages tell. Pauses, and the wait for the end, are part of `monitoring`. */
export type Phase = 'preparation' | 'launch' | 'monitoring' | 'clean_up';

export { SERVER_SOURCE };

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
  const missing = launch?.data['mounts_not_granted'];
  return missing === undefined ? {} : { mounts_not_granted: missing };
}

/** A line of the server's own in the log. */
export function warning(message: string): MessageDraft {
  const data = { level: 'warn', message, metadata: { source: SERVER_SOURCE } };
  return { type: 'log', timestamp: new Date().toISOString(), level: 'warn', data };
}
