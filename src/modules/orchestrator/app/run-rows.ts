import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { PROCESS_ID } from '../../../common/ops/process-id.js';
import type { RunReceipt } from '../contracts/run.commands.js';
import type { RunState } from '../contracts/run.types.js';
import type { AgentHostSchema } from '../domain/agent-host.entity.js';
import type { AgentTypeNeedsSchema } from '../domain/agent-type-needs.entity.js';
import type { BudgetSchema } from '../domain/budget.entity.js';
import type { QueueKeeperSchema } from '../domain/queue-keeper.entity.js';
import type { BoardShareSchema, UserShareSchema } from '../domain/queue-share.entity.js';
import type { Run, RunSchema } from '../domain/run.entity.js';
import type { RunAttemptSchema } from '../domain/run-attempt.entity.js';
import type { RunLimitSchema } from '../domain/run-limit.entity.js';

/** Tables of this module, for typed SQL. */
export type RunDB = InferKyselyDB<
  | typeof RunSchema
  | typeof RunAttemptSchema
  | typeof AgentHostSchema
  | typeof RunLimitSchema
  | typeof BudgetSchema
  | typeof AgentTypeNeedsSchema
  | typeof BoardShareSchema
  | typeof UserShareSchema
  | typeof QueueKeeperSchema
>;

/** A run that this server holds. */
export interface ClaimedRun {
  id: string;
  task_id: string;
  agent_type: string;
  repository_url: string | null;
  branch: string | null;
  state: RunState;
  attempt: number;
  epoch: number;
  requested_by: string | null;
  stop_reason: string | null;
  stop_force: boolean;
  /** Of one that was claimed just now: from the queue to the claim. */
  waited_seconds?: number;
}

/** One whose lease was extended just now. */
export interface HeldRun extends ClaimedRun {
  /** Where this host is lost, another one that is up now may go on with it. */
  has_other_host: boolean;
}

/** Stands in the queue's shares for who has asked for runs and was deleted since. */
export const NOBODY = '00000000-0000-0000-0000-000000000000';

/** Who holds a lease: this server process. */
export const LEASE_OWNER = PROCESS_ID;

/** Seconds a lease is good for without a heartbeat: four heartbeats may fail before somebody else takes over. */
export const LEASE_SECONDS = 20;
export const HEARTBEAT_MS = 5_000;

export function receipt(run: Run, agentId: string | null): RunReceipt {
  return { run_id: run.id, task_id: run.task_id, state: run.state, agent_instance_id: agentId };
}
