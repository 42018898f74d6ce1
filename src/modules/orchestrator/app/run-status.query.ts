import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindAttemptAgentQuery, GetProgressQuery, type AgentProgress } from '../../agent/contracts/agent.queries.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { TaskState } from '../../task/contracts/task.types.js';
import type { RunState } from '../contracts/run.types.js';
import { estimateCompletion, type CompletionEstimate, type EstimateBasis } from '../domain/completion-estimate.js';
import { isLive } from '../domain/run-state.js';
import type { WaitingFor } from '../domain/waiting-for.js';
import type { RunDB } from './run-rows.js';
import { usualDuration } from './usual-duration.js';
import { WaitReasons } from './wait-reasons.js';

type RunRow = Selectable<RunDB['runs']>;

/** How the task's latest run goes. */
export interface RunStatus {
  task_id: string;
  state: TaskState;
  run_id: string | null;
  run_state: RunState | null;
  /** What a run waits for that is queued, being started, or on a host whose engine is away; null when it does not. */
  waiting_for: WaitingFor | null;
  attempt: number | null;
  agent_instance_id: string | null;
  agent_type: string | null;
  queued_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  progress: number | null;
  current_operation: string | null;
  estimated_completion: string | null;
  /** What the estimate goes by; null where there is none. */
  estimate_basis: EstimateBasis | null;
  failure_code: string | null;
  failure_message: string | null;
}

/** @throws DomainError `task.not_found`, `request.too_slow` */
export class GetRunStatusQuery extends Query<RunStatus> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
  ) {
    super();
  }
}

@QueryHandler(GetRunStatusQuery)
export class GetRunStatusHandler implements IQueryHandler<GetRunStatusQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly reasons: WaitReasons,
  ) {}

  async execute({ actor, task_id }: GetRunStatusQuery): Promise<RunStatus> {
    const task = await this.queries.execute(new GetTaskQuery(actor, task_id));
    const run = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .selectAll()
      .where('task_id', '=', task_id)
      .orderBy('queued_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    const agent =
      run && run.attempt > 0 ? await this.queries.execute(new FindAttemptAgentQuery(run.id, run.attempt)) : null;
    const told = agent ? await this.queries.execute(new GetProgressQuery(agent.id)) : null;
    const estimate = run ? await this.estimate(run, told) : null;
    return {
      task_id,
      state: task.state,
      run_id: run?.id ?? null,
      run_state: run?.state ?? null,
      waiting_for: run ? await this.waitingFor(run, agent?.id ?? null) : null,
      attempt: run?.attempt ?? null,
      agent_instance_id: agent?.id ?? null,
      agent_type: run?.agent_type ?? task.agent_type,
      queued_at: toTimestamp(run?.queued_at),
      started_at: toTimestamp(run?.started_at),
      finished_at: toTimestamp(run?.finished_at),
      progress: told?.progress ?? null,
      current_operation: told?.operation ?? null,
      estimated_completion: estimate && new Date(Date.now() + estimate.left_ms).toISOString(),
      estimate_basis: estimate?.basis ?? null,
      failure_code: run?.failure_code ?? null,
      failure_message: run?.failure_message ?? null,
    };
  }

  private async waitingFor(run: RunRow, agent_id: string | null): Promise<WaitingFor | null> {
    if (run.state === 'QUEUED') {
      return this.reasons.ofQueued({
        ...run,
        requested_by: run.requested_by ?? null,
        not_before: run.not_before ?? null,
        parked_for: run.parked_for ?? null,
      });
    }
    if (!isLive(run.state)) return null;
    const host = await this.reasons.ofHost({ ...run, host_id: run.host_id ?? null });
    return host ?? (run.state === 'STARTING' ? this.reasons.ofStarting(agent_id) : null);
  }

  private async estimate(run: RunRow, told: AgentProgress | null): Promise<CompletionEstimate | null> {
    const { state, started_at } = run;
    if (state !== 'RUNNING' || started_at === null) return null;
    return estimateCompletion({
      running: true,
      progress: told?.progress ?? null,
      since_first: told?.since_first ?? null,
      ran_ms: Date.now() - new Date(started_at).getTime() - (told?.paused_ms ?? 0),
      usual_ms: await usualDuration(this.transactions.kysely<RunDB>(), run),
    });
  }
}
