import { Injectable } from '@nestjs/common';
import { faultPoint } from '../../../common/ops/fault-points.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { LaunchSpec, ProgressReport } from '../domain/container-runtime.js';
import { Credentials, type Granted } from '../domain/credentials.js';
import { Gateways, type RefusalReport } from '../domain/gateways.js';
import { engineLimits } from '../domain/resource-limits.js';
import { RunDirectories } from '../domain/run-directory.js';
import { AttemptFailure } from '../domain/outcome.js';
import { diskLimitText, TaskDisks, type TaskDisk } from '../domain/task-disks.js';
import { workBranch } from '../domain/work-branch.js';
import { Workspaces, type Checkout } from '../domain/workspaces.js';
import { inTurn } from './attempt-turn.js';
import { LaunchSpecs } from './launch-spec.js';
import { TaskLocks } from './task-locks.js';
import { WorkspaceRecords } from './workspace-records.js';

/** What was put in place for an attempt. */
export interface Supplied {
  spec: LaunchSpec;
  granted: Granted;
}

/** Who hears what goes on. */
export interface Tellers {
  report: ProgressReport;
  /** A connection that the gateway has refused. */
  refused: RefusalReport;
}

/** Everything that an agent finds when it starts, and its removal: disk, checkout, run directory, credentials, gateway. */
@Injectable()
export class AttemptSupplies {
  // oxlint-disable-next-line max-params -- one for each of the things that an agent finds
  constructor(
    private readonly locks: TaskLocks,
    private readonly disks: TaskDisks,
    private readonly workspaces: Workspaces,
    private readonly records: WorkspaceRecords,
    private readonly runDirectories: RunDirectories,
    private readonly credentials: Credentials,
    private readonly gateways: Gateways,
    private readonly specs: LaunchSpecs,
  ) {}

  /**
   * Puts all of it in place; again: finds it there, and does what is missing.
   * @throws AttemptFailure; the signal's reason when it aborts
   */
  async prepare(
    instance: AgentInstance,
    task: AttemptTask,
    { report, refused }: Tellers,
    signal: AbortSignal,
  ): Promise<Supplied> {
    const { user } = this.specs;
    const workspace = inTurn({ locks: this.locks, taskId: task.id }, report, signal, () =>
      this.prepareWorkspace(instance, task, report, signal),
    );
    const home = workspace.then((disk) => disk.home);
    home.catch(() => undefined); // nobody asks for it where there is nothing to be granted
    // None of them needs another; they are all over, well or not, before anything is taken away again.
    const [disk, , granted, gateway_directory] = await allOver([
      workspace,
      this.prepareRunDirectory(instance, task),
      this.credentials.grant(instance, user, home).then((given) => {
        faultPoint('credentials.granted');
        return given;
      }),
      this.gateways.open(instance, user, refused),
    ]);
    return { spec: this.specs.make(instance, task, { disk, gateway_directory, granted }), granted };
  }

  private async prepareRunDirectory(instance: AgentInstance, task: AttemptTask): Promise<void> {
    const feed = instance.protocol === 'agent-client-protocol';
    await this.runDirectories.prepare(instance.id, this.specs.briefing(instance, task), this.specs.user, { feed });
    faultPoint('run_directory.prepared');
  }

  private async prepareWorkspace(
    instance: AgentInstance,
    task: AttemptTask,
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<TaskDisk> {
    const { user } = this.specs;
    const limit = engineLimits(instance.resource_limits ?? {}).disk_bytes ?? null;
    const row = await this.records.preparing({
      ...{ task_id: task.id, board_id: task.board_id, repository_url: task.repository_url, branch: task.branch },
      ...{ work_branch: workBranch(task.id, task.title), requested_by: instance.requested_by ?? null },
    });
    const checkout: Checkout = {
      ...{ task_id: task.id, repository_url: row.repository_url, branch: row.base_branch },
      ...{ work_branch: row.branch ?? workBranch(task.id, task.title), requested_by: instance.requested_by ?? null },
    };
    const { disk, method, caveat } = await this.disks.prepare(task.id, instance.id, limit, user);
    if (caveat !== null) report(caveat);
    faultPoint('disk.prepared');
    const found = await this.workspaces.prepare(checkout, disk, user, report, signal);
    faultPoint('workspace.in_place');
    await this.records.ready(task.id, { ...found, disk_method: method, disk_limit_bytes: limit });
    return disk;
  }

  /** After a restart: what lives in this process for an agent that runs. */
  async reopen(instance: AgentInstance, refused: RefusalReport): Promise<void> {
    this.disks.hold(instance.task_id, instance.id);
    await this.gateways.open(instance, this.specs.user, refused);
    await this.credentials.reopen(instance);
  }

  /** How a failure is best explained, where the agent's disk is full; null where it is not. */
  async fullDisk({ task_id, resource_limits }: AgentInstance): Promise<AttemptFailure | null> {
    const { disk_bytes } = engineLimits(resource_limits ?? {});
    if (disk_bytes === undefined || !(await this.disks.isFull(task_id, disk_bytes))) return null;
    return new AttemptFailure('agent.disk_limit', diskLimitText(disk_bytes));
  }

  /** The server lets go of the attempt, the agent may live on: what lives in this process ends. Again: nothing. */
  async letGo(agentId: string, taskId: string): Promise<void> {
    this.disks.letGo(taskId, agentId);
    await this.gateways.close(agentId);
    await this.credentials.letGo(agentId);
  }

  /** The attempt is over, its container gone. What stays is the task's disk, no longer mounted. */
  async remove(agentId: string, taskId: string): Promise<void> {
    await this.gateways.remove(agentId);
    await this.credentials.revoke(agentId);
    faultPoint('credentials.revoked');
    await this.runDirectories.remove(agentId);
    await this.records.used(taskId);
    await this.disks.release(taskId, agentId);
    faultPoint('disk.released');
  }

  /**
   * Removes what a crash has left of attempts that are over, and lets go of disks that nobody uses. One that can't be
   * removed does not keep the others.
   */
  async sweep(owners: Owners, attempt: (id: string, remove: () => Promise<void>) => Promise<void>): Promise<void> {
    for (const id of await owners.ownerless(await this.runDirectories.list())) {
      await attempt(id, () => this.runDirectories.remove(id));
    }
    for (const id of await owners.ownerless(await this.gateways.list())) {
      await attempt(id, () => this.gateways.remove(id));
    }
    for (const id of await owners.ownerless(await this.credentials.list())) {
      await attempt(id, () => this.credentials.revoke(id));
    }
    await this.disks.reconcile((tasks) => owners.liveTasks(tasks));
  }
}

/** What all of them give, once all are over. @throws what the first in the list of those that fail has thrown */
async function allOver<T extends readonly unknown[]>(work: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Who knows what is still wanted. */
export interface Owners {
  /** Those of these agents that have no live attempt. */
  ownerless(agentIds: string[]): Promise<string[]>;
  /** Those of these tasks that have one. */
  liveTasks(taskIds: string[]): Promise<ReadonlySet<string>>;
}
