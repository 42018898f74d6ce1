import { sql, type Kysely } from 'kysely';
import { DomainError } from '../errors/domain-error.js';
import { Gate } from '../ops/gate.js';

const FENCE_MS = 5_000; // nobody waits longer for a list, and a few who ask for much can't keep all connections for long
/**
 * Fenced reads at once in this process: with each of them on a connection for seconds, the other four fifths of the pool
 * stay for everything else. The rest waits for no longer than one statement may take, and no more of them than are
 * served in that time where each takes half a second.
 */
const AT_ONCE = 4;
const WAITING = 32;
const QUERY_CANCELED = '57014';
/**
 * Memory for the places of some ten million rows: with less, PostgreSQL remembers pages and reads every row of those
 * again. Compiling a plan costs more than it saves.
 */
const SET_FENCE = sql`select set_config('statement_timeout', ${String(FENCE_MS)}, true),
  set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`;

/**
 * Stands around reads that may cost much: PostgreSQL gives up a statement of theirs after {@link FENCE_MS}, and few of
 * them run at once, whoever asks. They must not take the connections of those who store output and keep leases.
 */
export class Fence {
  private readonly gate = new Gate(AT_ONCE, { waiting: WAITING, waitMs: FENCE_MS, refusal: tooBusy });

  /** @throws DomainError `request.too_slow` when a statement takes too long, or too many others ask for such reads */
  async run<DB, T>(database: Kysely<DB>, read: (db: Kysely<DB>) => Promise<T>): Promise<T> {
    return this.gate.run(async () => {
      try {
        return await database
          .transaction()
          .setAccessMode('read only')
          .execute(async (db) => {
            await SET_FENCE.execute(db);
            return read(db);
          });
      } catch (error) {
        throw (error as { code?: unknown }).code === QUERY_CANCELED ? tooSlow() : error;
      }
    });
  }
}

function tooSlow(): DomainError {
  return new DomainError(
    'unavailable',
    'request.too_slow',
    `This takes longer than ${FENCE_MS / 1000} seconds. Ask for less: more filters, rarer words, a cursor instead of an offset.`,
  );
}

function tooBusy(): DomainError {
  return new DomainError(
    'unavailable',
    'request.too_slow',
    'Too many ask for searches and totals at this moment. Try again in a few seconds.',
    { retry_after_seconds: FENCE_MS / 1000 },
  );
}
