import type { MikroORM } from '@mikro-orm/postgresql';
import type { CompiledQuery } from 'kysely';
import pg from 'pg';
import { SESSION_NAME } from '../ops/process-id.js';

/**
 * A heartbeat or a lease that is not answered within this is given up together with its connection: a network that went
 * without a word must not let us believe that we hold what others have taken. Three of them are tried within a lease.
 */
export const URGENT_MS = 5_000;
/** Between two heartbeats it stays open. */
const IDLE_MS = 60_000;

/**
 * A connection to PostgreSQL of its own for statements that have to be in time. It does not wait for a free one among
 * those that store output or answer clients, and one that has timed out is ended at once and never used again.
 */
export class UrgentConnection {
  private pool: pg.Pool | undefined;

  constructor(private readonly orm: MikroORM) {}

  /** Runs one statement. @throws Error `Query read timeout` or of a connection that does not come about in time */
  async run<T>({ sql: text, parameters }: CompiledQuery<T>): Promise<T[]> {
    this.pool ??= this.open();
    // The pool ends a connection whose statement has failed for want of an answer, whatever it is at.
    return (await this.pool.query({ text, values: [...parameters] })).rows as T[];
  }

  /** Waits for nobody: what is under way fails. */
  async close(): Promise<void> {
    const { pool } = this;
    this.pool = undefined;
    await pool?.end();
  }

  private open(): pg.Pool {
    const pool = new pg.Pool({
      connectionString: this.orm.config.get('clientUrl'),
      application_name: SESSION_NAME,
      max: 1, // heartbeats come one after the other
      query_timeout: URGENT_MS,
      connectionTimeoutMillis: URGENT_MS, // of the way there, and of the wait for the one before
      idleTimeoutMillis: IDLE_MS,
      allowExitOnIdle: true,
    });
    pool.on('error', () => undefined); // one that breaks while nobody uses it: the next statement opens another
    return pool;
  }
}
