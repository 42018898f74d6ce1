import { defineEntity, p } from '@mikro-orm/postgresql';

/** How an attempt can have ended. The table's CHECK lists the same. */
export const ATTEMPT_ENDS = ['COMPLETED', 'FAILED', 'CANCELLED', 'LOST'] as const;
export type AttemptEndState = (typeof ATTEMPT_ENDS)[number];

export const RunAttemptSchema = defineEntity({
  name: 'RunAttempt',
  tableName: 'run_attempts',
  properties: {
    run_id: p.uuid().primary(),
    attempt: p.integer().primary(),
    /** Of the run when it ended. */
    epoch: p.integer(),
    host_id: p.uuid().nullable(),
    /** Its agent instance; null where it did not get that far. */
    agent_id: p.uuid().nullable(),
    state: p.string().length(20).$type<AttemptEndState>(),
    failure_code: p.string().length(100).nullable(),
    failure_message: p.text().nullable(),
    claimed_at: p.datetime(3).nullable(),
    ended_at: p.datetime(3).defaultRaw('now()'),
    /** When the next attempt was due, as it was decided then; null where there was to be none. */
    retry_at: p.datetime(3).nullable(),
    /** Why it was tried again, or not; for people. */
    retry_decision: p.text(),
  },
  checks: [
    { name: 'run_attempts_state_check', expression: "state in ('COMPLETED', 'FAILED', 'CANCELLED', 'LOST')" },
    { name: 'run_attempts_attempt_check', expression: 'attempt >= 1' },
  ],
});

/** What became of one attempt of a run; written once, when it has ended. */
export class RunAttempt extends RunAttemptSchema.class {}
RunAttemptSchema.setClass(RunAttempt);
