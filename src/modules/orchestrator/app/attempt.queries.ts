import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindAttemptAgentQuery } from '../../agent/contracts/agent.queries.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { ParkReason } from '../contracts/run.types.js';
import { ATTEMPT_ENDS } from '../domain/run-attempt.entity.js';
import type { RunDB } from './run-rows.js';

/** How an attempt stands: at work, or how it has ended. */
export const ATTEMPT_STATES = ['STARTING', 'RUNNING', 'PAUSED', 'STOPPING', ...ATTEMPT_ENDS] as const;
export type AttemptState = (typeof ATTEMPT_STATES)[number];

/** One try within a run. Times are RFC 3339. */
export interface AttemptRecord {
  attempt: number;
  state: AttemptState;
  agent_id: string | null;
  host_id: string | null;
  failure_code: string | null;
  failure_message: string | null;
  claimed_at: string | null;
  ended_at: string | null;
  /** When the next one was due; null where there was to be none. */
  retry_at: string | null;
  /** Why it was tried again or not; null while it works. */
  retry_decision: string | null;
}

/** All attempts of a run, oldest first, and when the next is due. */
export interface RunAttempts {
  attempts: AttemptRecord[];
  /** How many it may have in all; null for runs from before that was kept. */
  max_attempts: number | null;
  /** Null while one works, none is due, or the run is only to be taken from the queue. */
  next_attempt_at: string | null;
  parked_for: ParkReason | null;
}

/** @throws DomainError `task.not_found`, `run.not_found` */
export class ListAttemptsQuery extends Query<RunAttempts> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly run_id: string,
  ) {
    super();
  }
}

@QueryHandler(ListAttemptsQuery)
export class ListAttemptsHandler implements IQueryHandler<ListAttemptsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, run_id }: ListAttemptsQuery): Promise<RunAttempts> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const db = this.transactions.kysely<RunDB>();
    // The run first: an attempt that ends in between is then there twice, which is seen, and not missing.
    const run = await db
      .selectFrom('runs')
      .selectAll()
      .where('id', '=', run_id)
      .where('task_id', '=', task_id)
      .executeTakeFirst();
    if (!run) throw notFound('run');
    const ended = await db
      .selectFrom('run_attempts')
      .selectAll()
      .where('run_id', '=', run_id)
      .orderBy('attempt')
      .execute();
    const live = ended.some(({ attempt }) => attempt === run.attempt) ? null : await this.live(run);
    return {
      attempts: [...ended.map(toRecord), ...(live ? [live] : [])],
      max_attempts: run.retry_policy?.max_attempts ?? null,
      next_attempt_at: toTimestamp(run.not_before),
      parked_for: run.parked_for,
    };
  }

  private async live(run: Selectable<RunDB['runs']>): Promise<AttemptRecord | null> {
    const { id, state, attempt, host_id, claimed_at } = run;
    if (state !== 'STARTING' && state !== 'RUNNING' && state !== 'PAUSED' && state !== 'STOPPING') return null;
    const agent = await this.queries.execute(new FindAttemptAgentQuery(id, attempt));
    return {
      ...{ attempt, state, agent_id: agent?.id ?? null, host_id, claimed_at: toTimestamp(claimed_at) },
      ...{ failure_code: null, failure_message: null, ended_at: null, retry_at: null, retry_decision: null },
    };
  }
}

function toRecord(row: Selectable<RunDB['run_attempts']>): AttemptRecord {
  const { attempt, state, agent_id, host_id, failure_code, failure_message, retry_decision } = row;
  return {
    ...{ attempt, state, agent_id, host_id, failure_code, failure_message, retry_decision },
    claimed_at: toTimestamp(row.claimed_at),
    ended_at: toTimestamp(row.ended_at),
    retry_at: toTimestamp(row.retry_at),
  };
}
