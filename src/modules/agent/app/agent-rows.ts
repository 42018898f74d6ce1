import type { Selectable } from 'kysely';
import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { AgentInstanceView } from '../contracts/agent.types.js';
import type { AgentInstance, AgentInstanceSchema } from '../domain/agent-instance.entity.js';
import type { AgentTypeVersionSchema } from '../domain/agent-type-version.entity.js';
import type { AgentTypeSchema } from '../domain/agent-type.entity.js';
import type { ArtifactSchema } from '../domain/artifact.entity.js';
import type { RescueSchema } from '../domain/rescue.entity.js';
import type { UsageDaySchema, UsageTotalSchema } from '../domain/usage.entity.js';
import type { WorkspaceSchema } from '../domain/workspace.entity.js';

/** Tables of this module, for typed SQL. */
export type AgentDB = InferKyselyDB<
  | typeof AgentInstanceSchema
  | typeof AgentTypeSchema
  | typeof AgentTypeVersionSchema
  | typeof ArtifactSchema
  | typeof WorkspaceSchema
  | typeof RescueSchema
  | typeof UsageDaySchema
  | typeof UsageTotalSchema
>;

/** Another server has taken the attempt over (or its task is gone): stop, and write nothing more. */
export class Fenced extends Error {
  constructor() {
    super('the attempt belongs to another server now');
    this.name = 'Fenced';
  }
}

type ViewFields = Pick<
  AgentInstance,
  | 'id'
  | 'run_id'
  | 'task_id'
  | 'attempt'
  | 'status'
  | 'exit_code'
  | 'failure_code'
  | 'error_message'
  | 'result_summary'
  | 'retry_after_seconds'
  | 'started_at'
  | 'stopped_at'
>;

/** What other modules see of an instance. */
export function toView(
  row: { [K in keyof ViewFields]: ViewFields[K] | null | undefined } & { id: string },
): AgentInstanceView {
  return {
    id: row.id,
    run_id: row.run_id as string,
    task_id: row.task_id as string,
    attempt: row.attempt as number,
    status: row.status as AgentInstanceView['status'],
    exit_code: row.exit_code ?? null,
    failure_code: row.failure_code ?? null,
    error_message: row.error_message ?? null,
    result_summary: row.result_summary ?? null,
    retry_after_seconds: row.retry_after_seconds ?? null,
    started_at: toTimestamp(row.started_at),
    stopped_at: toTimestamp(row.stopped_at),
  };
}

/** A row of `workspaces`. */
export type WorkspaceRow = Selectable<AgentDB['workspaces']>;
