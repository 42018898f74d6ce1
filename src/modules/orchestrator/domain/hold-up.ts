import { EVERY_SUBJECT, type LimitScope } from './run-limit.entity.js';
import { hasLabels, missingLabels, missingOn, saverOf } from './host-fit.js';
import {
  NO_NEEDS,
  type HostFacts,
  type OverdueRun,
  type QueueFacts,
  type RunKind,
  type TypeNeeds,
} from './queue-facts.js';

/** What is the matter with the hosts, for a run. */
export const HOST_PROBLEMS = ['none_up', 'labels', 'draining', 'full', 'resources', 'saving_up'] as const;

/** Why no host takes a run. */
export interface HostHoldUp {
  problem: (typeof HOST_PROBLEMS)[number];
  /** Of `labels`: those that no host has all of; of the rest, what the run asks for. */
  labels: string[];
  /** Of `resources`: what the host that comes closest lacks; 0 where it is the other one that it lacks. */
  missing_memory_bytes: number;
  missing_cpus: number;
}

/** A limit that is reached. */
export interface LimitHoldUp {
  scope: LimitScope;
  /** What is at its limit, whether that is its own or the one for all of its scope. */
  subject: string;
  max_running: number;
  running: number;
}

/** What keeps a claimable run from being claimed, the one thing that has to change first. */
export type HoldUp =
  { reason: 'limit'; limit: LimitHoldUp } | { reason: 'host'; host: HostHoldUp } | { reason: 'disk' };

/**
 * Says of claimable runs what keeps each from being claimed by any host, by the rules of the claim's statement; null:
 * nothing but its turn. What would keep it for ever comes first: limits are asked about only where a host could take it.
 */
export class HoldUps {
  private readonly counts = new Map<string, number>();
  private firsts: readonly OverdueRun[] | undefined;

  constructor(private readonly facts: QueueFacts) {
    for (const { board_id, user_id, agent_type } of facts.held) {
      for (const key of ['server *', `board ${board_id}`, `user ${user_id}`, `agent_type ${agent_type}`])
        this.counts.set(key, this.count(key) + 1);
    }
  }

  of(run: RunKind): HoldUp | null {
    const needs = this.facts.needs.get(run.agent_type) ?? NO_NEEDS;
    const { hosts } = this.facts;
    const labelled = hosts.filter((host) => hasLabels(host, needs));
    const open = labelled.filter(({ draining }) => !draining);
    if (hosts.length === 0) return problem('none_up', needs);
    if (labelled.length === 0) return problem('labels', { ...needs, host_labels: missingLabels(needs, hosts) });
    if (open.length === 0) return problem('draining', needs);
    return this.limitOf(run) ?? this.hostsOf(needs, open);
  }

  private limitOf({ board_id, user_id, agent_type }: RunKind): HoldUp | null {
    return (
      this.reached('server', EVERY_SUBJECT) ??
      this.reached('agent_type', agent_type) ??
      this.reached('board', board_id) ??
      this.reached('user', user_id)
    );
  }

  private reached(scope: LimitScope, subject: string): HoldUp | null {
    const max_running = this.facts.limits.maxOf(scope, subject);
    const running = this.count(`${scope} ${subject}`);
    if (max_running === undefined || running < max_running) return null;
    return { reason: 'limit', limit: { scope, subject, max_running, running } };
  }

  /** Of hosts that may take it: the one that comes closest says what is missing. */
  private hostsOf(needs: TypeNeeds, hosts: readonly HostFacts[]): HoldUp | null {
    const found = hosts.map((host) => this.hostOf(needs, host));
    if (found.includes(null)) return null;
    return found.reduce((best, each) => (distance(each!) < distance(best!) ? each : best)) ?? null;
  }

  private hostOf(needs: TypeNeeds, host: HostFacts): HoldUp | null {
    if (host.disk_full) return { reason: 'disk' };
    const max_running = this.facts.limits.maxOf('host', host.id);
    if (host.runs >= (max_running ?? host.slots)) {
      if (max_running === undefined) return problem('full', needs);
      return { reason: 'limit', limit: { scope: 'host', subject: host.id, max_running, running: host.runs } };
    }
    const missing = missingOn(host, needs);
    if (missing) return problem('resources', needs, missing);
    return this.savesUp(host, needs) ? problem('saving_up', needs) : null;
  }

  /** Whether what the run needs is kept free on the host, for a large one that has waited long. */
  private savesUp(host: HostFacts, needs: TypeNeeds): boolean {
    return this.overdue().some((large) => {
      const wanted = this.facts.needs.get(large.agent_type);
      const missing = wanted && missingOn(host, wanted);
      if (!missing || saverOf(large.id, wanted, this.facts, host) !== host) return false;
      return (missing.memory_bytes > 0 && needs.memory_bytes > 0) || (missing.cpus > 0 && needs.cpus > 0);
    });
  }

  /** Of each type the run that has waited longest of those that no limit holds up. */
  private overdue(): readonly OverdueRun[] {
    this.firsts ??= [...Map.groupBy(this.facts.overdue, ({ agent_type }) => agent_type).values()].flatMap((runs) => {
      const open = runs.filter((run) => this.limitOf(run) === null);
      const first = open.toSorted((a, b) => a.rank_ms - b.rank_ms || (a.id < b.id ? -1 : 1))[0];
      return first ? [first] : [];
    });
    return this.firsts;
  }

  private count(key: string): number {
    return this.counts.get(key) ?? 0;
  }
}

function problem(
  what: HostHoldUp['problem'],
  needs: TypeNeeds,
  missing: { memory_bytes: number; cpus: number } = { memory_bytes: 0, cpus: 0 },
): HoldUp {
  const { memory_bytes: missing_memory_bytes, cpus: missing_cpus } = missing;
  return {
    reason: 'host',
    host: { problem: what, labels: [...needs.host_labels], missing_memory_bytes, missing_cpus },
  };
}

/** How far a host is from taking the run: it only has to be its turn, to become free a little, to become free at all. */
function distance(holdUp: HoldUp): number {
  if (holdUp.reason === 'limit') return 2e18; // more than any missing bytes
  if (holdUp.reason === 'disk') return 3e18;
  const { problem: what, missing_memory_bytes, missing_cpus } = holdUp.host;
  if (what === 'saving_up') return -1;
  return what === 'resources' ? missing_memory_bytes + missing_cpus : 1e18;
}
