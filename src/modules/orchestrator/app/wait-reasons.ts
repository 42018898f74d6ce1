import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindLeftAgentsQuery, GetLaunchProgressQuery } from '../../agent/contracts/agent.queries.js';
import {
  FindOpenDependenciesQuery,
  FindWipBlocksQuery,
  type OpenDependency,
  type WipBlock,
} from '../../task/contracts/task.queries.js';
import { ENGINE_LABEL } from '../../../common/validation/host-label.js';
import type { ParkReason, RunState } from '../contracts/run.types.js';
import { HoldUps } from '../domain/hold-up.js';
import { positionOf } from '../domain/serving-order.js';
import {
  budgetSentence,
  engineSentence,
  leftBehindSentence,
  NOBODY_KEEPS,
  waitingFor,
  type Waiting,
  type WaitingFor,
} from '../domain/waiting-for.js';
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

  /** Of a run that a host has: that its engine does not answer, where its agent needs one; null: nothing of that kind. */
  async ofHost(run: { state: RunState; host_id: string | null; agent_type: string }): Promise<WaitingFor | null> {
    if (run.host_id === null) return null;
    const hosts = this.transactions.kysely<RunDB>().selectFrom('agent_hosts').select(['name', 'engine_away_since']);
    const away = await hosts
      .where('id', '=', run.host_id)
      .where('engine_away_since', 'is not', null)
      .where(needsEngine(run.agent_type))
      .executeTakeFirst();
    if (!away?.engine_away_since) return null;
    const since = toTimestamp(away.engine_away_since);
    return waitingFor({ reason: 'engine', message: engineSentence(away.name, since, run.state === 'STOPPING') });
  }

  /** Of each task the names of the hosts where an agent of it was left behind. */
  private async leftBehind(runs: readonly QueuedRow[]): Promise<Map<string, string[]>> {
    const tasks = runs.filter(({ parked_for }) => parked_for === 'agent_left').map(({ task_id }) => task_id);
    if (tasks.length === 0) return new Map();
    const left = await this.queries.execute(new FindLeftAgentsQuery(tasks));
    const hosts = this.transactions.kysely<RunDB>().selectFrom('agent_hosts').select(['id', 'name']);
    const ids = left.flatMap(({ host_id }) => host_id ?? []);
    const names = new Map(
      (await hosts.where('id', '=', sql<string>`any(${ids}::uuid[])`).execute()).map(({ id, name }) => [id, name]),
    );
    const of = Map.groupBy(left, ({ task_id }) => task_id);
    return new Map(
      [...of].map(([task, all]) => [task, [...new Set(all.flatMap(({ host_id }) => names.get(host_id ?? '') ?? []))]]),
    );
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
    const left = await this.leftBehind(runs);
    const holdUps = new HoldUps(state);
    const waits = runs.map((run) => {
      return (
        forTasks(run, state.is_kept, dependencies.get(run.task_id), columns.get(run.task_id)) ??
        forTime(run, { refusal: refusals.get(run.id), left: left.get(run.task_id), isKept: state.is_kept }) ??
        forTurn(run, holdUps)
      );
    });
    return (await this.names.add(waits, state.hosts)).map(waitingFor);
  }
}

/** Flag and rows may differ for a moment: the rows say what is, the flag what the claim goes by. */
function forTasks(run: QueuedRow, isKept: boolean, open: OpenDependency[] = [], block?: WipBlock): Waiting | null {
  if (open.length > 0) {
    const tasks = open.map(({ depends_on_id, title, state }) => ({ task_id: depends_on_id, title, state }));
    return { reason: 'dependencies', tasks, position: null };
  }
  if (block && block.last_run_id !== run.id && (run.waits_for_tasks || block.tasks >= block.max_tasks)) {
    const { state, max_tasks, tasks } = block;
    return { reason: 'wip_limit', column: { state, max_tasks, tasks }, position: null };
  }
  if (!run.waits_for_tasks) return null;
  return { reason: 'queue', position: null, ...(!isKept && { message: NOBODY_KEEPS }) };
}

/** No refusal for one that is parked for a budget: that was raised a moment ago. */
function forTime(
  { not_before, parked_for }: QueuedRow,
  { refusal, left, isKept }: { refusal?: Refusal | undefined; left?: string[] | undefined; isKept: boolean },
): Waiting | null {
  if (not_before === null) return null;
  const until = toTimestamp(not_before);
  const waiting = { reason: parked_for ?? 'back_off', until, position: null };
  if (!isKept && Date.parse(until) < Date.now()) return { ...waiting, message: NOBODY_KEEPS };
  if (parked_for === 'agent_left') return { ...waiting, message: leftBehindSentence(left ?? []) };
  return { ...waiting, ...(refusal && { message: budgetSentence(refusal.message, until) }) };
}

/** Of agents that run without a container, the type asks for no engine. */
function needsEngine(agent_type: string) {
  return sql<boolean>`exists (
    select from agent_type_needs needs where needs.agent_type = ${agent_type} and ${ENGINE_LABEL} = any (needs.host_labels))`;
}

function forTurn({ board_id, requested_by, agent_type, position }: QueuedRow, holdUps: HoldUps): Waiting {
  const holdUp = holdUps.of({ board_id, user_id: requested_by ?? NOBODY, agent_type });
  if (!holdUp) return { reason: 'queue', position };
  if (holdUp.reason !== 'limit') return { ...holdUp, position };
  return { reason: 'limit', limit: { ...holdUp.limit, name: null }, position };
}
