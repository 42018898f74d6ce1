import { Injectable, type OnModuleInit } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { BoardWipLimitsChangedEvent } from '../../task/contracts/board.events.js';
import { TaskDeletedEvent, TaskStateChangedEvent, TaskUpdatedEvent } from '../../task/contracts/task.events.js';
import {
  FindDependentsQuery,
  FindHeldTasksQuery,
  FindOpenDependenciesQuery,
} from '../../task/contracts/task.queries.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import { DispatchSignal } from './dispatch-signal.js';
import { RunPlaces } from './run-places.js';
import type { RunDB } from './run-rows.js';
import { turnMarks, type Marked } from './waiting-marks.js';

const BATCH = 500; // runs in one look: a few short reads, and any number of queued runs is seen to in turn
const MAX_ROUNDS = 5; // a second one checks what the first has written; more only while others write, too
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';

type QueuedRun = Marked & { task_id: string; board_id: string; rank_at: Date };

/**
 * Keeps `waits_for_tasks` of the queued runs true, both ways: to the dependencies of their tasks, and to the places
 * that there are where a board limits its tasks in progress. Events say where to look, the rows say what is; the
 * reconcile loop looks at all of them in turn, so a lost event only costs time.
 */
@Injectable()
export class RunWaits implements OnModuleInit {
  private seen = BEFORE_ALL;

  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly outbox: OutboxHandlers,
    private readonly signal: DispatchSignal,
    private readonly places: RunPlaces,
  ) {}

  onModuleInit(): void {
    this.outbox.on(TaskStateChangedEvent.topic, async ({ aggregate_id, data }) => {
      const { board_id, run_id, old_state, new_state } = data as unknown as TaskStateChangedEvent['data'];
      // A run that puts its task into progress is not queued, and no other one of the task is.
      const isDispatch = run_id !== null && new_state === 'IN_PROGRESS';
      const tasks = isDispatch ? [] : [aggregate_id];
      // Others depend on nothing but whether it is completed.
      if (old_state === 'COMPLETED' || new_state === 'COMPLETED')
        tasks.push(...(await this.queries.execute(new FindDependentsQuery(aggregate_id))));
      if (tasks.length > 0) await this.reviewTasks(tasks);
      await this.reviewPlaces(board_id);
    });
    this.outbox.on(TaskUpdatedEvent.topic, async ({ aggregate_id, data }) => {
      const fields = data['fields'] as string[];
      if (fields.includes('depends_on')) await this.reviewTasks([aggregate_id]);
      if (fields.includes('archived_at')) await this.reviewPlaces(String(data['board_id']));
    });
    // Its dependencies went with it, so nobody knows any more which tasks waited for it.
    this.outbox.on(TaskDeletedEvent.topic, ({ data }) => this.reviewBoard(String(data['board_id'])));
    this.outbox.on(BoardWipLimitsChangedEvent.topic, ({ aggregate_id }) => this.reviewBoard(aggregate_id));
    this.outbox.on(RunStateChangedEvent.topic, async ({ aggregate_id, data }) => {
      if (data['state'] === 'QUEUED') await this.reviewTasks([String(data['task_id'])]);
      else if (data['state'] !== 'RUNNING') await this.reviewPlacesOf(aggregate_id); // it may have been let go in vain
    });
  }

  /** Whether the run's task depends on others that are not completed, or has no place where the run would move it. */
  async mustWait(task_id: string, run_id: string): Promise<boolean> {
    return (await this.waiting([task_id])).has(task_id) || this.places.isFullFor(run_id, task_id);
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

  /** All that wait on the board; where it is limited who is let go, and the first that wait. */
  private async reviewBoard(board_id: string): Promise<void> {
    const limited = await this.reviewPlaces(board_id);
    let after: QueuedRun | undefined;
    for (let more = true; more;) {
      let last: QueuedRun | undefined;
      const from = after;
      await this.review(async () => {
        let waiting = this.queued().where('board_id', '=', board_id).where('waits_for_tasks', '=', true);
        if (from) waiting = waiting.where(sql<boolean>`(rank_at, id) > (${from.rank_at}, ${from.id}::uuid)`);
        const runs = await waiting.orderBy('rank_at').orderBy('id').limit(BATCH).execute();
        last = runs.length === BATCH && !limited ? runs.at(-1) : undefined;
        return runs;
      });
      more = last !== undefined;
      after = last;
    }
  }

  /** Who is let go on the board, if it is limited; says whether it is. */
  private async reviewPlaces(board_id: string): Promise<boolean> {
    if (!(await this.places.isLimited(board_id))) return false;
    if (await this.places.align(board_id)) this.signal.ring();
    return true;
  }

  private async reviewPlacesOf(run_id: string): Promise<void> {
    const run = await this.db().selectFrom('runs').select('board_id').where('id', '=', run_id).executeTakeFirst();
    if (run) await this.reviewPlaces(run.board_id);
  }

  /**
   * Writes down what the dependencies say now, and looks again: whoever looked earlier and wrote later has looked
   * again as well, so the last to write has seen the latest. Those that want a place in a limited column are looked at
   * together with all others who do, once.
   */
  private async review(find: () => Promise<QueuedRun[]>): Promise<void> {
    const aligned = new Set<string>();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const runs = await this.inQuestion(await find());
      const wanting = await this.places.wanting(runs);
      for (const { id, board_id } of runs) {
        if (!wanting.has(id) || aligned.has(board_id)) continue;
        aligned.add(board_id);
        await this.reviewPlaces(board_id);
      }
      const others = runs.filter(({ id }) => !wanting.has(id));
      const waiting = await this.waiting(others.map(({ task_id }) => task_id));
      const wrong = others.filter((run) => run.waits_for_tasks !== waiting.has(run.task_id));
      if (wrong.length === 0) return;
      await turnMarks(this.db(), wrong);
      this.signal.ring();
    }
  }

  /** All but those that wait for nothing, and are not marked so: most, in one look. */
  private async inQuestion(runs: QueuedRun[]): Promise<QueuedRun[]> {
    if (runs.length === 0) return [];
    const held = new Set(await this.queries.execute(new FindHeldTasksQuery(runs.map(({ task_id }) => task_id))));
    return runs.filter(({ task_id, waits_for_tasks }) => waits_for_tasks || held.has(task_id));
  }

  private async waiting(task_ids: string[]): Promise<Set<string>> {
    if (task_ids.length === 0) return new Set();
    const open = await this.queries.execute(new FindOpenDependenciesQuery(task_ids));
    return new Set(open.map(({ task_id }) => task_id));
  }

  private queued() {
    const columns = ['id', 'task_id', 'board_id', 'rank_at', 'waits_for_tasks'] as const;
    return this.db().selectFrom('runs').select(columns).where('state', '=', 'QUEUED');
  }

  private db() {
    return this.transactions.kysely<RunDB>();
  }
}
