import { sql, type Kysely } from 'kysely';
import type { LimitFacts } from '../domain/queue-facts.js';
import type { RunDB } from './run-rows.js';

/** The limits of the whole server, of its hosts and types, and of those boards and users. */
export async function readLimits(db: Kysely<RunDB>, subjects: readonly string[]) {
  const { rows } = await sql<LimitFacts & { step: number }>`
    select scope, subject, max_running, weight, (1.0 / coalesce(weight, 1))::float8 as step from run_limits
    where scope in ('server', 'host', 'agent_type') or subject = '*' or subject = any(${subjects}::text[])`.execute(db);
  // What a claim adds is computed where the claim computes it: not a bit of it may differ.
  const steps = new Map(rows.map(({ scope, subject, step }) => [`${scope} ${subject}`, step]));
  const stepOf = (scope: 'board' | 'user', subject: string): number =>
    steps.get(`${scope} ${subject}`) ?? steps.get(`${scope} *`) ?? 1;
  return { rows, stepOf };
}
