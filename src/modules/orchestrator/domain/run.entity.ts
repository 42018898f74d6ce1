import { defineEntity, p } from '@mikro-orm/postgresql';
import type { ParkReason, RunState } from '../contracts/run.types.js';
import type { RetryDecision } from './decide-retry.js';
import type { EffectiveRetryPolicy } from './retry-policy.js';
import { isLive, nextRunState, type RunTrigger } from './run-state.js';

export const RunSchema = defineEntity({
  name: 'Run',
  tableName: 'runs',
  properties: {
    id: p.uuid().primary(),
    task_id: p.uuid(),
    /** Of the task; a task never changes its board. */
    board_id: p.uuid(),
    agent_type: p.string().length(100),
    /** Of the task when the run was asked for: the credentials of who asked are for this, and nothing else. */
    repository_url: p.string().length(500).nullable(),
    branch: p.string().length(255).nullable(),
    /** 0 to 10, more is sooner. */
    priority: p.integer().default(0),
    state: p.string().length(20).$type<RunState>().default('QUEUED'),
    /** 0 while it was never claimed, then 1, 2, … */
    attempt: p.integer().default(0),
    /** Rises with each claim; every later write names it, so that who has lost the run can't write. */
    epoch: p.integer().default(0),
    /** The server home whose engine has the attempt's container. */
    host_id: p.uuid().nullable(),
    /** The server process that looks after the run, until `lease_expires_at` unless it extends that. */
    lease_owner: p.uuid().nullable(),
    lease_expires_at: p.datetime(3).nullable(),
    stop_reason: p.text().nullable(),
    stop_force: p.boolean().default(false),
    /** Why it has failed, or its last attempt has that is to be tried again. */
    failure_code: p.string().length(100).nullable(),
    failure_message: p.text().nullable(),
    /** Queued, but the task depends on others that are not completed: not to be claimed. */
    waits_for_tasks: p.boolean().default(false),
    /** Queued, but not to be claimed before this time, for the reason in `parked_for`. Unparked by the reconcile loop. */
    not_before: p.datetime(3).nullable(),
    parked_for: p.string().length(20).$type<ParkReason>().nullable(),
    /** Its place among the queued ones of its board and user: when it was queued, a minute earlier for each priority. */
    rank_at: p.datetime(3).defaultRaw('now()'),
    /** When the present attempt was claimed, and what it takes of its host's memory and cores. */
    claimed_at: p.datetime(3).nullable(),
    reserved_memory_bytes: p.bigint('number').defaultRaw('0'),
    reserved_cpus: p.double().default(0),
    /** When its failed attempts are tried again, as it held when it was queued. */
    retry_policy: p.json<EffectiveRetryPolicy>().nullable(),
    /** Since when it is a dead letter: given up after its last attempt. Until somebody has dismissed or redriven it. */
    dead_lettered_at: p.datetime(3).nullable(),
    dismissed_at: p.datetime(3).nullable(),
    redriven_run_id: p.uuid().nullable(),
    requested_by: p.uuid().nullable(),
    version: p.integer().version().default(1),
    queued_at: p.datetime(3).defaultRaw('now()'),
    started_at: p.datetime(3).nullable(),
    finished_at: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
  },
  checks: [
    {
      name: 'runs_state_check',
      expression:
        "state in ('QUEUED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING', 'COMPLETED', 'FAILED', 'CANCELLED')",
    },
    { name: 'runs_priority_check', expression: 'priority >= 0 and priority <= 10' },
    { name: 'runs_parked_for_check', expression: "parked_for in ('back_off', 'retry_after', 'budget', 'agent_left')" },
  ],
});

/** Why an attempt failed, as the run keeps it. */
export interface RunFailure {
  failure_code: string | null;
  failure_message: string | null;
}

/** One execution of a task, from queued to a terminal state. */
export class Run extends RunSchema.class {
  /** Takes the trigger if the state table allows it; says whether it did. A terminal run lets go of its lease. */
  apply(trigger: RunTrigger, now: Date): boolean {
    const to = nextRunState(this.state, trigger);
    if (!to) return false;
    this.state = to;
    if (to === 'RUNNING') this.started_at ??= now;
    if (!isLive(to)) {
      this.finished_at = now;
      this.lease_owner = null;
      this.lease_expires_at = null;
      this.not_before = null;
      this.parked_for = null;
    }
    // What an earlier attempt failed by is no end of this run.
    if (to === 'COMPLETED' || to === 'CANCELLED') Object.assign(this, { failure_code: null, failure_message: null });
    return true;
  }

  /**
   * Goes back into the queue from an attempt that has failed, parked until the next one is due; says whether it did.
   * The attempt keeps its number: the next claim raises it.
   */
  tryAgain({ not_before, parked_for }: RetryDecision & { retry: true }, failure: RunFailure): boolean {
    if (!this.apply('requeue', new Date())) return false;
    this.leaveHost();
    Object.assign(this, { ...failure, not_before, parked_for });
    this.started_at = null; // times are those of the attempt that ends the run
    return true;
  }

  /** Fails for good, and is a dead letter from now on; says whether it did. */
  giveUp(failure: RunFailure, now: Date): boolean {
    if (!this.apply('agent_failed', new Date())) return false;
    Object.assign(this, { ...failure, dead_lettered_at: now });
    return true;
  }

  /**
   * Goes back into the queue from a claim that has launched nothing, to wait for other tasks, or parked; says whether
   * it did.
   * Nothing knows the attempt, so its number is used again; the epoch keeps rising.
   */
  putBack(parked?: { not_before: Date; parked_for: ParkReason }): boolean {
    if (this.state !== 'STARTING' || !this.apply('requeue', new Date())) return false;
    this.attempt -= 1;
    this.leaveHost();
    if (parked) Object.assign(this, parked);
    else this.waits_for_tasks = true;
    return true;
  }

  private leaveHost(): void {
    this.host_id = null;
    this.lease_owner = null;
    this.lease_expires_at = null;
    this.claimed_at = null;
    this.reserved_memory_bytes = 0;
    this.reserved_cpus = 0;
  }
}
RunSchema.setClass(Run);
