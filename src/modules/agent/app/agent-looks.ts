import { Injectable, Logger } from '@nestjs/common';
import type { Selectable } from 'kysely';
import { ContainerRuntimes } from '../domain/container-runtime.js';
import { withHistory, type ResourceUsage } from '../domain/resource-usage.js';
import { TaskDisks } from '../domain/task-disks.js';
import type { AgentDB } from './agent-rows.js';
import { InstanceCondition } from './instance-condition.js';

const AT_ONCE = 4; // an engine answers so many as fast as one
/** Docker counts once a second, and lets who asks wait for that; nobody works meanwhile. */
const COUNT_MS = 1_000;
const DISK_MS = 30_000; // where a disk has to be measured, every file of it is looked at
const DISK_SHARE = 20; // and that takes at most a twentieth of the time

/** Of an instance's row: what is needed to look at its agent. */
export type Looked = Pick<
  Selectable<AgentDB['agent_instances']>,
  'id' | 'task_id' | 'epoch' | 'agent_type' | 'runtime' | 'usage' | 'health'
>;

export interface Sampled {
  id: string;
  epoch: number;
  agent_type: string;
  /** Null: it does not run any more, or could not be looked at. */
  usage: ResourceUsage | null;
  before: ResourceUsage | null;
}

/** Looks at agents: what they use, and what their images' health checks say. */
@Injectable()
export class AgentLooks {
  private readonly logger = new Logger(AgentLooks.name);
  private readonly diskDue = new Map<string, number>();

  constructor(
    private readonly runtimes: ContainerRuntimes,
    private readonly disks: TaskDisks,
    private readonly condition: InstanceCondition,
  ) {}

  /** A few at a time, until `enough` says so. One that can't be looked at does not keep the others. */
  async at(agents: readonly Looked[], enough: () => boolean): Promise<Sampled[]> {
    this.forget(agents);
    const sampled: Sampled[] = [];
    const queue = agents.values();
    const work = async (): Promise<void> => {
      for (const agent of queue) {
        if (enough()) return;
        const usage = await this.look(agent).catch((error: unknown) => {
          this.logger.debug({ err: error, agent_id: agent.id }, 'an agent could not be looked at; again later');
          return null;
        });
        const { id, epoch, agent_type, usage: before } = agent;
        sampled.push({ id, epoch, agent_type, usage, before });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return sampled;
  }

  /** How much of the time for so many looks may have been waiting alone, in ms. */
  waitedMs(agents: readonly Looked[]): number {
    return Math.ceil(agents.filter(({ runtime }) => runtime === 'docker').length / AT_ONCE) * COUNT_MS;
  }

  private async look(agent: Looked): Promise<ResourceUsage | null> {
    const runtime = this.runtimes.get(agent.runtime);
    const seen = await runtime.inspect(agent.id);
    if (seen.state !== 'running') return null;
    if (seen.health && seen.health !== agent.health)
      await this.condition.feels({ agent_id: agent.id, epoch: agent.epoch }, seen.health);
    const usage = await runtime.usage(agent.id);
    if (!usage) return null;
    return withHistory({ ...usage, disk_bytes: await this.diskBytes(agent.task_id) }, agent.usage);
  }

  /** Null while it is not due. */
  private async diskBytes(taskId: string): Promise<number | null> {
    const now = performance.now();
    if ((this.diskDue.get(taskId) ?? 0) > now) return null;
    const used = await this.disks.used(taskId).catch(() => null);
    const took = performance.now() - now;
    this.diskDue.set(taskId, now + Math.max(DISK_MS, took * DISK_SHARE));
    return used;
  }

  private forget(agents: readonly Looked[]): void {
    const tasks = new Set(agents.map(({ task_id }) => task_id));
    for (const task of this.diskDue.keys()) if (!tasks.has(task)) this.diskDue.delete(task);
  }
}
