import type { Kysely } from 'kysely';
import type { DialogueOf } from '../../agent/contracts/agent-dialogues.js';
import type { DialogueOpening } from '../contracts/dialogue.types.js';
import type { SessionDB } from './session-rows.js';

/** The task's last session with such an agent in which something was done, where its home is here. */
export async function previousSession(
  db: Kysely<SessionDB>,
  { task_id, agent_id, agent_type, host_id }: DialogueOf,
): Promise<DialogueOpening['session']> {
  const row = await db
    .selectFrom('agent_sessions')
    .select(['session_id', 'opened_at'])
    .where('task_id', '=', task_id)
    .where('agent_id', '!=', agent_id)
    .where('agent_type', '=', agent_type)
    .where('host_id', 'is not distinct from', host_id)
    .where('session_id', 'is not', null)
    .where((by) =>
      by.exists(
        by
          .selectFrom('prompts')
          .select('prompts.id')
          .whereRef('prompts.agent_id', '=', 'agent_sessions.agent_id')
          .where('prompts.task_id', '=', task_id)
          .where('prompts.state', '=', 'COMPLETED'),
      ),
    )
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row?.session_id == null) return null;
  return { session_id: row.session_id, created_at: new Date(row.opened_at ?? 0).toISOString() };
}
