import { NO_NEEDS, type Limits, type RunKind, type TypeNeeds } from './queue-facts.js';
import { EVERY_SUBJECT, type LimitScope } from './run-limit.entity.js';

/** A host that takes runs. */
export interface StartHost {
  id: string;
  /** How many it may hold, by its limit or its slots. */
  places: number;
  labels: readonly string[];
  memory_bytes: number;
  cpus: number;
}

export interface PlaceWorld {
  hosts: readonly StartHost[];
  needs: ReadonlyMap<string, TypeNeeds>;
  limits: Limits;
  /** Who holds a place to begin with. */
  placed: readonly Placement[];
}

/** A run on a host, with what it takes there. */
export interface Placement extends RunKind {
  host_id: string;
  memory_bytes: number;
  cpus: number;
}

/** Who is where, and what is free. */
export class Places {
  private readonly hosts: Map<string, StartHost & { free: number; free_memory_bytes: number; free_cpus: number }>;
  private readonly counts = new Map<string, number>();
  private free = 0;

  constructor(private readonly world: PlaceWorld) {
    this.hosts = new Map(
      world.hosts.map((host) => {
        const { id, places, memory_bytes, cpus } = host;
        return [id, { ...host, free: places, free_memory_bytes: memory_bytes, free_cpus: cpus }];
      }),
    );
    for (const run of world.placed) this.move(run, 1);
    this.countFree();
  }

  /** Whether any run at all could be taken. */
  anyFree(): boolean {
    return this.free > 0 && this.isBelow('server', EVERY_SUBJECT);
  }

  /** On the host with the most free places of those that have room; undefined where none has. */
  take(run: RunKind): Placement | undefined {
    const { board_id, user_id, agent_type } = run;
    const isAllowed =
      this.isBelow('board', board_id) && this.isBelow('user', user_id) && this.isBelow('agent_type', agent_type);
    if (!isAllowed) return undefined;
    const { memory_bytes, cpus, host_labels } = this.world.needs.get(agent_type) ?? NO_NEEDS;
    let best: Placement | undefined;
    let most = 0;
    for (const host of this.hosts.values()) {
      const needed = { memory_bytes: Math.min(memory_bytes, host.memory_bytes), cpus: Math.min(cpus, host.cpus) };
      const fits = needed.memory_bytes <= host.free_memory_bytes && needed.cpus <= host.free_cpus;
      if (host.free <= most || !fits || !host_labels.every((label) => host.labels.includes(label))) continue;
      most = host.free;
      best = { ...{ board_id, user_id, agent_type, host_id: host.id }, ...needed };
    }
    if (best) this.move(best, 1);
    this.countFree();
    return best;
  }

  /** Its place is free again. */
  leave(run: Placement): void {
    this.move(run, -1);
    this.countFree();
  }

  private move(run: Placement, by: 1 | -1): void {
    const { board_id, user_id, agent_type } = run;
    for (const key of ['server *', `board ${board_id}`, `user ${user_id}`, `agent_type ${agent_type}`])
      this.counts.set(key, (this.counts.get(key) ?? 0) + by);
    const host = this.hosts.get(run.host_id); // one that drains or is down takes nothing, whoever leaves it
    if (!host) return;
    host.free -= by;
    host.free_memory_bytes -= by * run.memory_bytes;
    host.free_cpus -= by * run.cpus;
  }

  private countFree(): void {
    this.free = 0;
    for (const host of this.hosts.values()) this.free += Math.max(0, host.free);
  }

  private isBelow(scope: LimitScope, subject: string): boolean {
    const max = this.world.limits.maxOf(scope, subject);
    return max === undefined || (this.counts.get(`${scope} ${subject}`) ?? 0) < max;
  }
}
