import type { InferKyselyDB } from '@mikro-orm/postgresql';
import type { RunReceipt } from '../contracts/run.commands.js';
import type { Run, RunSchema } from '../domain/run.entity.js';

/** Tables of this module, for typed SQL. */
export type RunDB = InferKyselyDB<typeof RunSchema>;

/** Identity of this server process: who holds a lease. A new one with each start. */
export const LEASE_OWNER = crypto.randomUUID();

/** Seconds a lease is good for without a heartbeat: four heartbeats may fail before somebody else takes over. */
export const LEASE_SECONDS = 20;
export const HEARTBEAT_MS = 5_000;

export function receipt(run: Run, agentId: string | null): RunReceipt {
  return { run_id: run.id, task_id: run.task_id, state: run.state, agent_instance_id: agentId };
}
