import { Inject, Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { SYSTEM } from '../../../common/auth/actor.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Housekeeping, ON_ITS_HOST } from '../../../common/ops/housekeeping.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindTasksWithLiveRunQuery } from '../../orchestrator/contracts/run.queries.js';
import { FindVisibleTasksQuery } from '../../task/contracts/task.queries.js';
import type { RescueReason } from '../domain/rescue.entity.js';
import { TaskDisks } from '../domain/task-disks.js';
import type { AgentDB } from './agent-rows.js';
import { ImageCheck } from './image-check/image-check.js';
import { WorkspaceRescuer } from './rescue-workspace.js';
import { NO_LIVE_AGENT } from './workspace-access.js';

const EVERY_MS = 60_000; // a task's deletion frees its disk within a minute or so; the look itself is a few queries
const MEASURED_AT_ONCE = 100; // sizes; each is a walk over the files, or one question to a file system
const STALE_SIZE = sql`interval '6 hours'`; // of a workspace that nobody has used since
const AT_ONCE = 20; // removals in one round
const RETRY_MS = 3_600_000; // after a removal that failed: each try reads all files
const NO_BOARD = '00000000-0000-0000-0000-000000000000';

/**
 * Removes workspaces that nobody needs: of deleted tasks, unused for the retention time, and the longest unused ones
 * while all of them take more than their budget. What is only there is rescued first; a workspace with work that a
 * rescue can't keep stays. Takes long at times: other chores don't wait for it.
 */
@Injectable()
export class WorkspaceKeeper implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(WorkspaceKeeper.name);
  private readonly leaving = new AbortController();
  private running: Promise<void> | undefined;
  /** Workspaces that could not go: until when, in this server's milliseconds, they are passed over, if nobody uses them. */
  private readonly passed = new Map<string, { used: string; until: number }>();

  // oxlint-disable-next-line max-params -- rows, disks, tasks, and who removes
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly disks: TaskDisks,
    private readonly rescuer: WorkspaceRescuer,
    private readonly housekeeping: Housekeeping,
    private readonly checks: ImageCheck,
  ) {}

  onModuleInit(): void {
    const run = (): Promise<void> => {
      this.running ??= this.round()
        .catch((error: unknown) =>
          this.logger.warn({ err: error }, 'workspaces could not be looked after; again later'),
        )
        .finally(() => (this.running = undefined));
      return Promise.resolve();
    };
    this.housekeeping.add({ name: 'workspaces', roles: ON_ITS_HOST, everyMs: EVERY_MS, run });
  }

  async onModuleDestroy(): Promise<void> {
    this.leaving.abort(new Error('the server ends'));
    await this.running;
  }

  private async round(): Promise<void> {
    await this.adopt();
    for (const task_id of await this.begun()) await this.remove(task_id, await this.reasonOf(task_id));
    for (const row of await this.unused()) await this.retire(row, 'retention');
    await this.measure();
    await this.keepBudget();
  }

  /** Removes one that nobody has asked to remove, unless a run of its task waits or is live. True when it is gone. */
  private async retire({ task_id, last_used_at }: Candidate, reason: RescueReason): Promise<boolean> {
    const live = await this.queries.execute(new FindTasksWithLiveRunQuery({ task_id }));
    if (live.length > 0) return false;
    const outcome = await this.remove(task_id, reason);
    const used = toTimestamp(last_used_at);
    if (outcome === 'kept') this.passed.set(task_id, { used, until: Infinity });
    if (outcome === 'failed') this.passed.set(task_id, { used, until: Date.now() + RETRY_MS });
    return outcome === 'gone';
  }

  private async remove(taskId: string, reason: RescueReason): Promise<'gone' | 'kept' | 'failed' | 'in_use'> {
    const { signal } = this.leaving;
    if (signal.aborted) return 'in_use';
    try {
      await this.rescuer.remove(taskId, { reason, actor: SYSTEM, gives_up: reason === 'task_deleted' }, signal);
      return 'gone';
    } catch (error) {
      if (signal.aborted) return 'in_use';
      const isKept = error instanceof DomainError && error.code === 'workspace.kept';
      if (error instanceof DomainError && error.kind !== 'unavailable' && !isKept) {
        await this.touch(taskId);
        return 'in_use'; // by now
      }
      const told = isKept ? 'a workspace stays' : 'a workspace could not be removed; again later';
      this.logger.warn({ err: error, task_id: taskId }, told);
      await this.touch(taskId);
      return isKept ? 'kept' : 'failed';
    }
  }

  /** Others get their turn first. */
  private async touch(taskId: string): Promise<void> {
    const rows = this.transactions.kysely<AgentDB>().updateTable('workspaces').set({ updated_at: new Date() });
    await rows.where('task_id', '=', taskId).where('state', '=', 'REMOVING').execute();
  }

  /** Disks without a row, of tasks that are gone: from before there were rows. Others get theirs with their next run. */
  private async adopt(): Promise<void> {
    const disks = await this.disks.list();
    if (disks.length === 0) return;
    const known = await this.rows()
      .select('task_id')
      .where('task_id', '=', sql<string>`any(${disks}::uuid[])`)
      .execute();
    const ids = new Set(known.map(({ task_id }) => task_id));
    const unknown = disks.filter((id) => !ids.has(id) && !this.checks.isLive(id));
    // A check may have ended since the first look, and has taken its disk with it then.
    const still = unknown.length > 0 ? new Set(await this.disks.list()) : new Set();
    const strange = unknown.filter((id) => still.has(id));
    const { host_id } = this.config;
    for (const task_id of await this.gone(strange)) {
      const times = { created_at: sql<Date>`now()`, last_used_at: sql<Date>`now()`, updated_at: sql<Date>`now()` };
      const row = { task_id, board_id: NO_BOARD, host_id, state: 'REMOVING' as const, ...times };
      const rows = this.transactions.kysely<AgentDB>().insertInto('workspaces').values(row);
      await rows.onConflict((conflict) => conflict.doNothing()).execute();
    }
  }

  /** Removals that a kill has cut off, and those that deleted tasks have asked for. */
  private async begun(): Promise<string[]> {
    const rows = await this.rows()
      .select('task_id')
      .where('state', '=', 'REMOVING')
      .orderBy('updated_at')
      .limit(AT_ONCE)
      .execute();
    return rows.map(({ task_id }) => task_id);
  }

  private async unused(): Promise<Candidate[]> {
    const { retention_days } = this.config.workspace;
    if (retention_days === 0) return [];
    return this.present()
      .select(['task_id', 'last_used_at'])
      .where('last_used_at', '<', sql<Date>`now() - make_interval(days => ${retention_days}::int)`)
      .orderBy('last_used_at')
      .limit(AT_ONCE)
      .execute();
  }

  private async measure(): Promise<void> {
    const stale = sql<boolean>`measured_at is null or measured_at < last_used_at or measured_at < now() - ${STALE_SIZE}`;
    const rows = await this.rows()
      .select('task_id')
      .where('state', 'in', ['READY', 'PREPARING'])
      .where(stale)
      .orderBy(sql`measured_at nulls first`)
      .limit(MEASURED_AT_ONCE)
      .execute();
    for (const { task_id } of rows) {
      if (this.leaving.signal.aborted) return;
      // Where nobody can tell, what was found last still counts.
      const found = await this.disks.used(task_id).then(
        (size_bytes) => ({ size_bytes }),
        () => ({}),
      );
      const change = { ...found, measured_at: sql<Date>`now()` };
      await this.transactions
        .kysely<AgentDB>()
        .updateTable('workspaces')
        .set(change)
        .where('task_id', '=', task_id)
        .execute();
    }
  }

  private async keepBudget(): Promise<void> {
    const { budget_bytes } = this.config.workspace;
    if (budget_bytes === 0) return;
    const { total } = await this.rows()
      .select(sql<string>`coalesce(sum(size_bytes), 0)`.as('total'))
      .where('state', '<>', 'REMOVED')
      .executeTakeFirstOrThrow();
    let over = Number(total) - budget_bytes;
    if (over <= 0) return;
    const rows = await this.present()
      .select(['task_id', 'size_bytes', 'last_used_at'])
      .orderBy('last_used_at')
      .limit(AT_ONCE)
      .execute();
    for (const row of rows) {
      if (over <= 0) return;
      if (await this.retire(row, 'budget')) over -= row.size_bytes ?? 0;
    }
  }

  private async reasonOf(taskId: string): Promise<RescueReason> {
    return (await this.gone([taskId])).length > 0 ? 'task_deleted' : 'requested';
  }

  private async gone(taskIds: string[]): Promise<string[]> {
    if (taskIds.length === 0) return [];
    const tasks = await this.queries.execute(new FindVisibleTasksQuery(SYSTEM, { task_ids: taskIds }));
    const there = new Set(tasks.map(({ task_id }) => task_id));
    return taskIds.filter((id) => !there.has(id));
  }

  private rows() {
    const { host_id } = this.config;
    return this.transactions.kysely<AgentDB>().selectFrom('workspaces').where('host_id', '=', host_id);
  }

  /** Those that may go: no attempt of their task is live, and they are not passed over. */
  private present() {
    const now = Date.now();
    for (const [id, { until }] of this.passed) if (until < now) this.passed.delete(id);
    const ids = [...this.passed.keys()];
    const times = [...this.passed.values()].map(({ used }) => used);
    return this.rows().where('state', 'in', ['READY', 'PREPARING']).where(NO_LIVE_AGENT)
      .where(sql<boolean>`not exists (select 1 from unnest(${ids}::uuid[], ${times}::timestamptz[]) as passed (id, used)
        where passed.id = workspaces.task_id and workspaces.last_used_at <= passed.used + interval '1 millisecond')`);
  }
}

/** A workspace that may go, and when it was last used. */
interface Candidate {
  task_id: string;
  last_used_at: Date;
}
