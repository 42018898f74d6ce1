import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { RunState } from '../contracts/run.types.js';
import { decideRetry, type RetryDecision } from '../domain/decide-retry.js';
import { effectiveRetryPolicy } from '../domain/retry-policy.js';
import type { AttemptEndState } from '../domain/run-attempt.entity.js';
import { nextRunState, type RunTrigger } from '../domain/run-state.js';
import type { Run } from '../domain/run.entity.js';
import type { RunDB } from './run-rows.js';

/** How an attempt has ended. */
export interface AttemptEnd {
  trigger: Extract<RunTrigger, 'agent_completed' | 'agent_failed' | 'agent_stopped'>;
  /** Null where it did not get as far as an instance. */
  agent_id: string | null;
  /** Nobody saw it end. */
  lost: boolean;
  failure_code: string | null;
  failure_message: string | null;
  retry_after_seconds: number | null;
}

/** Of a run that was stopped before it had an agent. */
export const STOPPED_BEFORE: AttemptEnd = {
  ...{ trigger: 'agent_stopped', agent_id: null, lost: false },
  ...{ failure_code: null, failure_message: null, retry_after_seconds: null },
};

const NOT_AGAIN: Partial<Record<RunState, string>> = {
  COMPLETED: 'It has completed.',
  CANCELLED: 'It was stopped.',
};

/** Takes the end of an attempt over: its row, and whether its run ends with it or waits for the next one. */
@Injectable()
export class AttemptEnds {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /**
   * In the transaction that has locked the run: attempt, run and whatever the caller tells of it are one step. Says
   * whether it did: an end that the run has taken over before, or that comes when it has gone on, changes nothing.
   */
  async take(tx: Tx, run: Run, end: AttemptEnd): Promise<boolean> {
    const to = nextRunState(run.state, end.trigger);
    if (!to) return false;
    const now = await databaseNow(tx); // the queue wakes parked runs by it, whatever this machine's clock says
    const decision: RetryDecision =
      to === 'FAILED' ? this.decide(run, end, now) : { retry: false, reason: NOT_AGAIN[to] ?? '' };
    await keepAttempt(tx, run, end, { to, decision, now });
    const { failure_code, failure_message } = end;
    if (decision.retry) return run.tryAgain(decision, { failure_code, failure_message });
    if (to === 'FAILED') return run.giveUp({ failure_code, failure_message }, now);
    return run.apply(end.trigger, new Date());
  }

  private decide(run: Run, { failure_code: code, retry_after_seconds }: AttemptEnd, now: Date): RetryDecision {
    // A person holds it: it does not start to work again by itself.
    if (run.state === 'PAUSED') return { retry: false, reason: 'It was paused, so it is not tried again by itself.' };
    const policy = run.retry_policy ?? effectiveRetryPolicy(null, null, this.config.orchestrator);
    return decideRetry({ code, retry_after_seconds }, run.attempt, policy, now, Math.random());
  }
}

/** Before the run forgets its host and claim. */
async function keepAttempt(
  tx: Tx,
  run: Run,
  { agent_id, lost, failure_code, failure_message }: AttemptEnd,
  { to, decision, now }: { to: RunState; decision: RetryDecision; now: Date },
): Promise<void> {
  await tx
    .kysely<RunDB>()
    .insertInto('run_attempts')
    .values({
      ...{ run_id: run.id, attempt: run.attempt, epoch: run.epoch, host_id: run.host_id ?? null, agent_id },
      state: to === 'FAILED' && lost ? 'LOST' : (to as AttemptEndState),
      ...{ failure_code, failure_message, claimed_at: run.claimed_at ?? null, ended_at: now },
      ...{ retry_at: decision.retry ? decision.not_before : null, retry_decision: decision.reason },
    })
    .onConflict((known) => known.doNothing())
    .execute();
}

async function databaseNow(tx: Tx): Promise<Date> {
  const { rows } = await sql<{ now: Date | string }>`select now()`.execute(tx.kysely<RunDB>());
  return new Date(rows[0]!.now);
}
