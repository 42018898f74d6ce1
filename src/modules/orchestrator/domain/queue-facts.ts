import { EVERY_SUBJECT, type LimitScope } from './run-limit.entity.js';

/** What agents of a type take of their host, and which labels it has to have. */
export interface TypeNeeds {
  memory_bytes: number;
  cpus: number;
  host_labels: readonly string[];
}

export const NO_NEEDS: TypeNeeds = { memory_bytes: 0, cpus: 0, host_labels: [] };

/** A host that is up: what it offers, and what is taken of that. */
export interface HostFacts {
  id: string;
  name: string;
  labels: readonly string[];
  slots: number;
  memory_bytes: number;
  cpus: number;
  draining: boolean;
  disk_full: boolean;
  runs: number;
  held_memory_bytes: number;
  held_cpus: number;
}

export interface LimitFacts {
  scope: LimitScope;
  subject: string;
  max_running: number | null;
  weight: number | null;
}

/** Whose run it is, and of which type: what limits and needs go by. */
export interface RunKind {
  board_id: string;
  user_id: string;
  agent_type: string;
}

/** A claimable run that has waited long. */
export interface OverdueRun extends RunKind {
  id: string;
  /** Ms since 1970. */
  rank_ms: number;
}

/** All that decides whether a claimable run may be claimed now. */
export interface QueueFacts {
  hosts: readonly HostFacts[];
  /** Hosts that were heard of lately enough to save up for a run, up or not. */
  savers: readonly HostFacts[];
  needs: ReadonlyMap<string, TypeNeeds>;
  limits: Limits;
  /** Runs that hold a place. */
  held: readonly RunKind[];
  /** Of each share and type the first run, where that has waited for so long that a host saves up for it. */
  overdue: readonly OverdueRun[];
}

/** The limits, each by what it is about: its own row, else the one for all of its scope. */
export class Limits {
  private readonly rows: ReadonlyMap<string, LimitFacts>;

  constructor(rows: readonly LimitFacts[]) {
    this.rows = new Map(rows.map((row) => [`${row.scope} ${row.subject}`, row]));
  }

  of(scope: LimitScope, subject: string): LimitFacts | undefined {
    return this.rows.get(`${scope} ${subject}`) ?? this.rows.get(`${scope} ${EVERY_SUBJECT}`);
  }

  /** How many of them may hold a place; undefined: as many as like. */
  maxOf(scope: LimitScope, subject: string): number | undefined {
    return this.of(scope, subject)?.max_running ?? undefined;
  }

  /** Whether there is any limit in this scope. */
  holdBack(scope: LimitScope): boolean {
    return [...this.rows.values()].some((row) => row.scope === scope && row.max_running !== null);
  }
}
