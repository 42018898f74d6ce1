import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetDiskQuery } from '../../agent/contracts/disk.queries.js';
import { FindOpenDependenciesQuery } from '../../task/contracts/task.queries.js';
import type { TaskState } from '../../task/contracts/task.types.js';
import { RunClaims } from './run-claims.js';
import type { RunDB } from './run-rows.js';

/**
 * `dependencies`: tasks that are not completed; `disk`: this host has too little free disk; `capacity`: it runs as
 * many agents as it may; `dispatch`: nothing but to be taken from the queue, which is a matter of seconds.
 */
export const WAIT_REASONS = ['dependencies', 'disk', 'capacity', 'dispatch'] as const;

/** What a queued run waits for. */
export interface WaitingFor {
  reason: (typeof WAIT_REASONS)[number];
  /** Of `dependencies`: the tasks that have to be completed first. */
  tasks: { task_id: string; title: string; state: TaskState }[];
  /** Place in the queue, 1 is next; null with `dependencies`: such runs are passed by. */
  position: number | null;
}

/** Says what a queued run waits for, from the rows as they are. */
@Injectable()
export class WaitReasons {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly claims: RunClaims,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Of a queued run; null when it has left the queue meanwhile. */
  async of(run_id: string, task_id: string): Promise<WaitingFor | null> {
    const open = await this.queries.execute(new FindOpenDependenciesQuery([task_id]));
    if (open.length > 0) {
      const tasks = open.map(({ depends_on_id, title, state }) => ({ task_id: depends_on_id, title, state }));
      return { reason: 'dependencies', tasks, position: null };
    }
    const position = await this.position(run_id);
    if (position === null) return null;
    return { reason: await this.reason(), tasks: [], position };
  }

  /** Of one that nothing but this host keeps waiting. Agents that end make room for others, on a full disk they don't. */
  private async reason(): Promise<WaitingFor['reason']> {
    const { under_pressure } = await this.queries.execute(new GetDiskQuery());
    if (under_pressure) return 'disk';
    return (await this.claims.countHeld()) < this.config.agent.max_concurrent_runs ? 'dispatch' : 'capacity';
  }

  private async position(run_id: string): Promise<number | null> {
    const { rows } = await sql<{ position: number }>`
      select 1 + (
        select count(*) from runs ahead where ahead.state = 'QUEUED' and not ahead.waits_for_tasks
          and (ahead.priority > run.priority
            or ahead.priority = run.priority and (ahead.queued_at, ahead.id) < (run.queued_at, run.id))
      )::int as position
      from runs run where run.id = ${run_id} and run.state = 'QUEUED'`.execute(this.transactions.kysely<RunDB>());
    return rows[0]?.position ?? null;
  }
}
