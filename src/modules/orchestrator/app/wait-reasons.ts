import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetLaunchProgressQuery } from '../../agent/contracts/agent.queries.js';
import {
  FindOpenDependenciesQuery,
  FindWipBlocksQuery,
  type OpenDependency,
  type WipBlock,
} from '../../task/contracts/task.queries.js';
import type { ParkReason } from '../contracts/run.types.js';
import { HoldUps } from '../domain/hold-up.js';
import { positionOf } from '../domain/serving-order.js';
import { budgetSentence, waitingFor, type Waiting, type WaitingFor } from '../domain/waiting-for.js';
import { BudgetBook, type Refusal } from './budget-book.js';
import { LimitNames } from './limit-names.js';
import { nthOf } from './queue-places.js';
import { readQueueState, type QueueState } from './queue-reads.js';
import { NOBODY, type RunDB } from './run-rows.js';

/** What of a queued run says what it waits for. */
export interface QueuedRow {
  id: string;
  task_id: string;
  board_id: string;
  requested_by: string | null;
  agent_type: string;
  waits_for_tasks: boolean;
  not_before: Date | string | null;
  parked_for: ParkReason | null;
  /** From 1; null for a run that is not claimable. */
  position: number | null;
}

/** Says what a run waits for, from the rows as they are. */
@Injectable()
export class WaitReasons {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly names: LimitNames,
    private readonly budgets: BudgetBook,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Of a queued run. @throws DomainError `request.too_slow` */
  async ofQueued(run: Omit<QueuedRow, 'position'>): Promise<WaitingFor> {
    // The whole queue is read for one place in it, so few may ask at once.
    const { state, nth } = await this.transactions.fenced<RunDB, { state: QueueState; nth: number | null }>(
      async (db) => ({
        state: await readQueueState(db, this.config.orchestrator.host_lost_seconds),
        nth: await nthOf(db, run.id),
      }),
    );
    const user_id = run.requested_by ?? NOBODY;
    const share = state.shares.find((each) => each.board_id === run.board_id && each.user_id === user_id);
    const position = nth !== null && share ? positionOf(state.shares, { share, nth }) : null;
    const [waiting] = await this.ofAll([{ ...run, position }], state);
    return waiting!;
  }

  /** Of a run that was claimed and whose agent does not run yet. */
  async ofStarting(agent_id: string | null): Promise<WaitingFor> {
    const told = agent_id === null ? null : await this.queries.execute(new GetLaunchProgressQuery(agent_id));
    if (!told) return waitingFor({ reason: 'preparation' });
    const isCounted = told.step === 'clone' || told.step === 'image_pull';
    return waitingFor({ reason: told.step, progress: isCounted ? told.percent : null });
  }

  /** Of queued runs, in their order; the state of the queue is the one that their positions are of. */
  async ofAll(runs: readonly QueuedRow[], state: QueueState): Promise<WaitingFor[]> {
    if (runs.length === 0) return [];
    const task_ids = runs.map(({ task_id }) => task_id);
    const open = await this.queries.execute(new FindOpenDependenciesQuery(task_ids));
    const blocks = await this.queries.execute(new FindWipBlocksQuery(task_ids));
    const dependencies = Map.groupBy(open, ({ task_id }) => task_id);
    const columns = new Map(blocks.map((block) => [block.task_id, block]));
    const parked = runs.filter(({ not_before, parked_for }) => not_before !== null && parked_for === 'budget');
    const refusals = await this.budgets.refusalsFor(parked.map(({ id }) => id));
    const holdUps = new HoldUps(state);
    const waits = runs.map((run) => {
      return (
        forTasks(run, dependencies.get(run.task_id), columns.get(run.task_id)) ??
        forTime(run, refusals.get(run.id)) ??
        forTurn(run, holdUps)
      );
    });
    return (await this.names.add(waits, state.hosts)).map(waitingFor);
  }
}

/** Flag and rows may differ for a moment: the rows say what is, the flag what the claim goes by. */
function forTasks(run: QueuedRow, open: OpenDependency[] = [], block?: WipBlock): Waiting | null {
  if (open.length > 0) {
    const tasks = open.map(({ depends_on_id, title, state }) => ({ task_id: depends_on_id, title, state }));
    return { reason: 'dependencies', tasks, position: null };
  }
  if (block && block.last_run_id !== run.id && (run.waits_for_tasks || block.tasks >= block.max_tasks)) {
    const { state, max_tasks, tasks } = block;
    return { reason: 'wip_limit', column: { state, max_tasks, tasks }, position: null };
  }
  return run.waits_for_tasks ? { reason: 'queue', position: null } : null;
}

/** No refusal for one that is parked for a budget: that was raised a moment ago. */
function forTime({ not_before, parked_for }: QueuedRow, refusal?: Refusal): Waiting | null {
  if (not_before === null) return null;
  const until = toTimestamp(not_before);
  const told = refusal && { message: budgetSentence(refusal.message, until) };
  return { reason: parked_for ?? 'back_off', until, position: null, ...told };
}

function forTurn({ board_id, requested_by, agent_type, position }: QueuedRow, holdUps: HoldUps): Waiting {
  const holdUp = holdUps.of({ board_id, user_id: requested_by ?? NOBODY, agent_type });
  if (!holdUp) return { reason: 'queue', position };
  if (holdUp.reason !== 'limit') return { ...holdUp, position };
  return { reason: 'limit', limit: { ...holdUp.limit, name: null }, position };
}
