import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindOpenDependenciesQuery, FindWipBlocksQuery, FindWipRoomQuery } from '../../task/contracts/task.queries.js';
import { letGo, type Candidate } from '../domain/let-go.js';
import type { RunDB } from './run-rows.js';
import { turnMarks } from './waiting-marks.js';

const PAGE = 500; // runs in one look, as RunWaits takes them
const MAX_ROUNDS = 5; // a second one checks what the first has written; more only while others write, too
/**
 * Who was let go and is not claimed within this, is held up by something else: the next one may try for the place, too.
 * Where there is room a claim takes milliseconds; a minute is a long time to leave a place empty.
 */
const PASSED_BY_AFTER = sql.raw(`interval '1 minute'`);

type QueuedRun = Omit<Candidate, 'has_open' | 'wants_place'> & { task_id: string; rank_at: Date };
/** Where a walk through a board's queue goes on. */
type Position = Pick<QueuedRun, 'rank_at' | 'id'>;

/**
 * Of the queued runs whose task needs a place in a limited column, lets go as many as there are places, in the order of
 * the queue; the others wait. The limit itself is kept by the dispatch: this spares runs the way there and back.
 */
@Injectable()
export class RunPlaces {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  /** Whether the run's dispatch would find its task's column full. */
  async isFullFor(run_id: string, task_id: string): Promise<boolean> {
    const [block] = await this.queries.execute(new FindWipBlocksQuery([task_id]));
    return block !== undefined && block.last_run_id !== run_id && block.tasks >= block.max_tasks;
  }

  /** Whether the board limits how many tasks are in progress. */
  async isLimited(board_id: string): Promise<boolean> {
    return (await this.queries.execute(new FindWipRoomQuery([board_id]))).length > 0;
  }

  /** Marks the queued runs of a limited board anew, until all marks are right; says whether any was wrong. */
  async align(board_id: string): Promise<boolean> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const wrong = await this.wrongOf(board_id);
      if (wrong.length === 0) return round > 0;
      await turnMarks(this.db(), wrong);
    }
    return true;
  }

  /** In the order of the queue, until the places are given away; from there on only those that were let go before. */
  private async wrongOf(board_id: string): Promise<QueuedRun[]> {
    const [room] = await this.queries.execute(new FindWipRoomQuery([board_id]));
    if (!room) return []; // limited no more: who changed that has it looked at
    let free = room.max_tasks - room.tasks - (await this.launching(board_id));
    const wrong: QueuedRun[] = [];
    for (let after: Position | undefined = undefined, more = true; more;) {
      const page: QueuedRun[] = await this.page(board_id, after, free <= 0);
      const given = letGo(await this.asCandidates(page), free);
      free = given.free;
      wrong.push(...page.filter(({ id, waits_for_tasks }) => given.waits.get(id) !== waits_for_tasks));
      after = page.at(-1);
      more = page.length === PAGE;
    }
    return wrong;
  }

  /** How many of the board's claimed runs are about to take a place. */
  private async launching(board_id: string): Promise<number> {
    const held = this.db().selectFrom('runs').select(['id', 'task_id']).where('board_id', '=', board_id);
    const runs = await held.where('state', '=', 'STARTING').execute();
    return (await this.wanting(runs)).size;
  }

  private async asCandidates(page: QueuedRun[]): Promise<Candidate[]> {
    const open = await this.queries.execute(new FindOpenDependenciesQuery(page.map(({ task_id }) => task_id)));
    const waiting = new Set(open.map(({ task_id }) => task_id));
    const wanting = await this.wanting(page);
    return page.map((run) => ({ ...run, has_open: waiting.has(run.task_id), wants_place: wanting.has(run.id) }));
  }

  /** Ids of those whose dispatch takes a place in a limited column; the others wait for none. */
  async wanting(runs: readonly { id: string; task_id: string }[]): Promise<Set<string>> {
    if (runs.length === 0) return new Set();
    const blocks = await this.queries.execute(new FindWipBlocksQuery(runs.map(({ task_id }) => task_id)));
    const lastOf = new Map(blocks.map(({ task_id, last_run_id }) => [task_id, last_run_id]));
    const wanting = runs.filter(({ id, task_id }) => lastOf.has(task_id) && lastOf.get(task_id) !== id);
    return new Set(wanting.map(({ id }) => id));
  }

  private async page(board_id: string, after: Position | undefined, unmarked_only: boolean): Promise<QueuedRun[]> {
    const rest = after ? sql`and (rank_at, id) > (${after.rank_at}, ${after.id}::uuid)` : sql``;
    // Each part by an index of its own.
    const part = (which: string) => sql`(
      select * from runs where board_id = ${board_id} and state = 'QUEUED' and ${sql.raw(which)} ${rest}
      order by rank_at, id limit ${PAGE})`;
    const unmarked = sql`${part('not waits_for_tasks and not_before is null')}
      union all ${part('not waits_for_tasks and not_before is not null')}`;
    const { rows } = await sql<QueuedRun>`
      select id, task_id, rank_at, waits_for_tasks, not_before is not null as parked,
        not waits_for_tasks and updated_at < now() - ${PASSED_BY_AFTER} as passed_by
      from (${unmarked} ${unmarked_only ? sql`` : sql`union all ${part('waits_for_tasks')}`}) queued
      order by rank_at, id limit ${PAGE}`.execute(this.db());
    return rows;
  }

  private db() {
    return this.transactions.kysely<RunDB>();
  }
}
