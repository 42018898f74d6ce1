import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { StopRunCommand } from '../../orchestrator/contracts/run.commands.js';
import { FindTasksWithLiveRunQuery } from '../../orchestrator/contracts/run.queries.js';

/** How long a request waits for agents to end: killed ones are gone within seconds, and clients wait no longer. */
const STOP_LIMIT_MS = 30_000;
const POLL_MS = 100; // a wait that people hardly feel, and ten short reads a second
const ASK_AGAIN_MS = 2_000; // for a run that was started after we had stopped the one before
const STOPS_AT_ONCE = 4; // connections that stopping takes: less than the smallest pool has
const MAX_NAMED = 100; // tasks named in a refusal

/** Where to look for live runs: at one task, or at those of a board. */
export type Where = { task_id: string } | { board_id: string };

/** Live runs in the way of deleting or archiving tasks. */
@Injectable()
export class LiveRuns {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  /** Ids of the tasks that have a live run. */
  find(where: Where): Promise<string[]> {
    return this.queries.execute(new FindTasksWithLiveRunQuery(where));
  }

  /**
   * Does the `work`, a transaction of which the database lets none through that would delete or archive a task with a
   * live run; then asks who is in the way, and refuses, or stops them, and tries again. Nothing is locked meanwhile,
   * and no connection held: however many wait here, they hold up nobody. The work is told whether runs were stopped.
   * @throws DomainError what `refusal` makes of the tasks' ids; `task.still_stopping`
   */
  async clearFor<T>(
    { actor, where, force, refusal }: { actor: Actor; where: Where; force: boolean; refusal: Refusal },
    work: (stopped: boolean) => Promise<T>,
  ): Promise<T> {
    const deadline = stopDeadline();
    for (let stopped = false; ;) {
      const done = await unlessRunLive(() => work(stopped));
      if (done) return done.result;
      const found = await this.find(where);
      const live = force ? await this.stop(actor, where, deadline) : found;
      stopped ||= force && found.length > 0;
      if (live.length > 0) throw force ? stillStopping(live) : refusal(live);
      if (Date.now() > deadline) throw stillStopping([]);
    }
  }

  /** Stops the live runs (of the tasks `among`, where given) and waits for their end; returns the tasks whose run is live still at the deadline. */
  async stop(actor: Actor, where: Where, deadline: number, among?: ReadonlySet<string>): Promise<string[]> {
    const asked = new Map<string, number>();
    for (;;) {
      const live = (await this.find(where)).filter((id) => !among || among.has(id));
      if (live.length === 0 || Date.now() > deadline) return live;
      const due = live.filter((id) => Date.now() - (asked.get(id) ?? 0) > ASK_AGAIN_MS);
      for (let start = 0; start < due.length; start += STOPS_AT_ONCE) {
        await Promise.all(due.slice(start, start + STOPS_AT_ONCE).map((id) => this.stopOne(actor, id)));
      }
      for (const id of due) asked.set(id, Date.now());
      await sleep(POLL_MS);
    }
  }

  private async stopOne(actor: Actor, task_id: string): Promise<void> {
    try {
      await this.commands.execute(new StopRunCommand(actor, task_id, 'the task is being deleted', true));
    } catch (error) {
      const gone = error instanceof DomainError && ['run.none_live', 'task.not_found'].includes(error.code);
      if (!gone) throw error;
    }
  }
}

type Refusal = (task_ids: string[]) => DomainError;

/** Until when a request that begins now waits for agents to end. */
export function stopDeadline(): number {
  return Date.now() + STOP_LIMIT_MS;
}

/** What the work returns; undefined when it was in vain, because of a live run or of somebody with whom it was locked up, and may be tried again. */
export async function unlessRunLive<T>(work: () => Promise<T>): Promise<{ result: T } | undefined> {
  try {
    return { result: await work() };
  } catch (error) {
    const DEADLOCK = '40P01';
    if (violatedConstraint(error) === 'tasks_no_live_run') return undefined;
    if ((error as { code?: unknown } | null)?.code === DEADLOCK) return undefined;
    throw error;
  }
}

/** `task.run_live`, for what the caller wanted: "delete", "archive". */
export function runLive(wanted: string, forcible: boolean): DomainError {
  const way = forcible ? ', or use force=true, which stops it' : '';
  return new DomainError(
    'conflict',
    'task.run_live',
    `The task has a live run. Stop it first${way}, to ${wanted} the task.`,
  );
}

/** `board.run_live`, naming the tasks. */
export function boardRunLive(task_ids: string[]): DomainError {
  const text = `${task_ids.length} of the board's tasks have a live run. Stop those first, or use force=true, which stops them, to delete the board.`;
  return new DomainError('conflict', 'board.run_live', text, { task_ids: task_ids.slice(0, MAX_NAMED) });
}

/** `task.still_stopping`, naming the tasks. */
export function stillStopping(task_ids: string[]): DomainError {
  const text =
    'The agent was told to stop and has not ended yet. Try again in a moment; if it lasts, look at the status of the run.';
  return new DomainError('conflict', 'task.still_stopping', text, { task_ids: task_ids.slice(0, MAX_NAMED) });
}
