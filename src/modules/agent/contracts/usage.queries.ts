import { Command, Query } from '../../../common/bus/contracts.js';

/** What agents have used. */
export interface Usage {
  /** Time that they ran, without pauses, by PostgreSQL's clock. */
  wall_clock_ms: number;
  /** Of their output that is stored. */
  output_bytes: number;
  /** Their own, not the server's about them. */
  messages: number;
  /** What they have told of. */
  tokens_in: number;
  tokens_out: number;
  cost_usd: number;
}

/** What somebody has used: of one day (UTC, `2026-11-26`) where there is one, else of all. */
export interface UsageSum extends Usage {
  scope: 'board' | 'task' | 'run' | 'agent';
  subject: string;
  /** An attempt counts for the day on which it began. Of an agent: that day. */
  day: string | null;
}

/** Sums of one moment. */
export interface UsageSums {
  /** By PostgreSQL's clock. */
  today: string;
  /** When the next day begins, RFC 3339. */
  next_day_at: string;
  /** Of boards and tasks: in all, of today, and of each day on which one of their live attempts began. */
  sums: UsageSum[];
}

/**
 * What boards, tasks and runs have used, live attempts included, and each live attempt of the runs (scope `agent`). What
 * has used nothing may be left out. No access check.
 */
export class SumUsageQuery extends Query<UsageSums> {
  constructor(readonly of: { boards: readonly string[]; tasks: readonly string[]; runs: readonly string[] }) {
    super();
  }
}

/** What agents of a type have used of one day. */
export interface UsageOfDay extends Usage {
  day: string;
  agent_type: string;
}

/** What a board or a task has used, by day and agent type, oldest first; live attempts included. No access check. */
export class ListUsageQuery extends Query<UsageOfDay[]> {
  constructor(
    readonly of: { board_id: string } | { task_id: string },
    /** Days, both included. */
    readonly from: string,
    readonly to: string,
  ) {
    super();
  }
}

/** What usage can be added up by. Of turns the session module knows. */
export const USAGE_BY = ['day', 'board', 'task', 'run'] as const;
export type UsageBy = (typeof USAGE_BY)[number];

/** What one of them has used. */
export interface UsageOf extends Usage {
  /** The day (UTC), or an id. */
  subject: string;
  /** Null of days. */
  board_id: string | null;
  /** Null of days and boards. */
  task_id: string | null;
}

/** Whose usage: on these boards, and of this task where there is one; of attempts that began on these days (UTC). */
export interface UsageFilter {
  boards: readonly string[] | 'all';
  task_id: string | null;
  from: string;
  to: string;
}

/**
 * What was used, added up; live attempts included, and those of tasks that were deleted since, but for runs. Days oldest
 * first, all else by what it has cost, then by its tokens. No access check.
 */
export class AddUpUsageQuery extends Query<UsageOf[]> {
  constructor(
    readonly by: UsageBy,
    readonly of: UsageFilter,
    readonly limit: number,
  ) {
    super();
  }
}

/** The name of an agent type. @throws DomainError `agent_type.not_found` */
export class FindAgentTypeNameQuery extends Query<string> {
  constructor(readonly agent_type_id: string) {
    super();
  }
}

/** The agents that this process looks after now. No row is read. */
export class ListSupervisedAgentsQuery extends Query<{ agent_id: string; run_id: string }[]> {}

/** What limits can be about. */
export const RESOURCES = ['wall_clock_seconds', 'output_bytes', 'messages', 'tokens', 'cost_usd'] as const;
export type Resource = (typeof RESOURCES)[number];

/** How much of one resource an attempt may use. */
export interface Cap {
  resource: Resource;
  /** What it may use beyond what its row said; below 0 where there is less than nothing left. */
  left: number;
  /** Why it was ended, if it uses more: for people. */
  message: string;
}

/** What an attempt may use, from what its row said at one moment; all of it, in place of what was said before. */
export interface AttemptCaps {
  agent_id: string;
  /** What it had used by then. */
  used: Usage;
  caps: Cap[];
}

/**
 * Holds those of the agents that this process looks after to their caps, or to none: who breaks one ends as
 * `budget.exceeded`.
 */
export class LimitAgentsCommand extends Command<void> {
  constructor(
    readonly agent_ids: readonly string[],
    readonly caps: readonly AttemptCaps[],
  ) {
    super();
  }
}
