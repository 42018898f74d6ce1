import { Injectable, type OnModuleInit } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { TaskDeletedEvent, TaskStateChangedEvent, TaskUpdatedEvent } from '../../task/contracts/task.events.js';
import { FindDependentsQuery, FindOpenDependenciesQuery } from '../../task/contracts/task.queries.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { DispatchSignal } from './dispatch-signal.js';
import type { RunDB } from './run-rows.js';

const BATCH = 500; // runs in one look: two short reads, and any number of queued runs is seen to in turn
const MAX_ROUNDS = 5; // a second one checks what the first has written; more only while others write, too
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';

interface QueuedRun {
  id: string;
  task_id: string;
  waits_for_tasks: boolean;
}

/**
 * Keeps `waits_for_tasks` of the queued runs true to the dependencies of their tasks, both ways. Events say where to
 * look, the rows say what is; the reconcile loop looks at all of them in turn, so a lost event only costs time.
 */
@Injectable()
export class RunWaits implements OnModuleInit {
  private seen = BEFORE_ALL;

  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly outbox: OutboxHandlers,
    private readonly signal: DispatchSignal,
  ) {}

  onModuleInit(): void {
    this.outbox.on(TaskStateChangedEvent.topic, async ({ aggregate_id }) => {
      const dependents = await this.queries.execute(new FindDependentsQuery(aggregate_id));
      await this.reviewTasks([aggregate_id, ...dependents]);
    });
    this.outbox.on(TaskUpdatedEvent.topic, async ({ aggregate_id, data }) => {
      if ((data['fields'] as string[]).includes('depends_on')) await this.reviewTasks([aggregate_id]);
    });
    // Its dependencies went with it, so nobody knows any more which tasks waited for it.
    this.outbox.on(TaskDeletedEvent.topic, ({ data }) => this.reviewBoard(String(data['board_id'])));
    this.outbox.on(RunStateChangedEvent.topic, async ({ data }) => {
      if (data['state'] === 'QUEUED') await this.reviewTasks([String(data['task_id'])]);
    });
  }

  /** Whether the task depends on others that are not completed. */
  async mustWait(task_id: string): Promise<boolean> {
    return (await this.waiting([task_id])).has(task_id);
  }

  /** Looks at the queued runs of these tasks once more. */
  reviewTasks(task_ids: string[]): Promise<void> {
    return this.review(() =>
      this.queued()
        .where('task_id', '=', sql<string>`any(${task_ids}::uuid[])`)
        .execute(),
    );
  }

  /** The next {@link BATCH} of all queued runs; the first ones again after the last. For the reconcile loop. */
  async reviewSome(): Promise<void> {
    const after = this.seen;
    await this.review(async () => {
      const runs = await this.queued().where('id', '>', after).orderBy('id').limit(BATCH).execute();
      this.seen = runs.length < BATCH ? BEFORE_ALL : (runs.at(-1)?.id ?? BEFORE_ALL);
      return runs;
    });
  }

  /** Those that wait, of the board of a deleted task; the reconcile loop sees to any beyond {@link BATCH}. */
  private reviewBoard(board_id: string): Promise<void> {
    return this.review(() =>
      this.queued().where('board_id', '=', board_id).where('waits_for_tasks', '=', true).limit(BATCH).execute(),
    );
  }

  /**
   * Writes down what the dependencies say now, and looks again: whoever looked earlier and wrote later has looked
   * again as well, so the last to write has seen the latest.
   */
  private async review(find: () => Promise<QueuedRun[]>): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const runs = await find();
      if (runs.length === 0) return;
      const waiting = await this.waiting(runs.map(({ task_id }) => task_id));
      const wrong = runs.filter((run) => run.waits_for_tasks !== waiting.has(run.task_id));
      if (wrong.length === 0) return;
      for (const waits of [true, false]) {
        await this.mark(
          wrong.filter((run) => run.waits_for_tasks !== waits),
          waits,
        );
      }
      this.signal.ring();
    }
  }

  /** In the order of the ids, so that two who mark the same runs wait for each other instead of locking up. */
  private async mark(runs: QueuedRun[], waits: boolean): Promise<void> {
    if (runs.length === 0) return;
    const ids = runs.map(({ id }) => id);
    await this.db()
      .updateTable('runs')
      .set({ waits_for_tasks: waits, version: sql<number>`version + 1`, updated_at: sql<Date>`now()` })
      .where('id', 'in', (query) =>
        query
          .selectFrom('runs')
          .select('id')
          .where('id', '=', sql<string>`any(${ids}::uuid[])`)
          .where('state', '=', 'QUEUED')
          .where('waits_for_tasks', '=', !waits)
          .orderBy('id')
          .forNoKeyUpdate(),
      )
      .execute();
  }

  private async waiting(task_ids: string[]): Promise<Set<string>> {
    const open = await this.queries.execute(new FindOpenDependenciesQuery(task_ids));
    return new Set(open.map(({ task_id }) => task_id));
  }

  private queued() {
    return this.db().selectFrom('runs').select(['id', 'task_id', 'waits_for_tasks']).where('state', '=', 'QUEUED');
  }

  private db() {
    return this.transactions.kysely<RunDB>();
  }
}
