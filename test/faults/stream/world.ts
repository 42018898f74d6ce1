import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { cleanUpLater } from '../../../bench/lib/interrupt.js';
import { startEmbeddedPostgres } from '../../../src/common/persistence/embedded-postgres/embedded-postgres.js';

/** A PostgreSQL of a world's own. */
export interface PrivatePostgres {
  readonly url: string;
  readonly port: number;
  /** Where its files are; `postmaster.pid` is one of them. */
  readonly dataDirectory: string;
}

/** A temporary directory for what a scenario needs. `close` undoes all of it, the last first; so does Ctrl-C. */
export class World {
  /** Undoes everything; safe to call again. */
  readonly close: () => Promise<void>;
  private readonly undo: (() => Promise<void> | void)[] = [];
  private made = 0;
  private shared: Promise<PrivatePostgres> | undefined;

  private constructor(readonly directory: string) {
    this.close = cleanUpLater(async () => {
      for (const work of this.undo.splice(0).toReversed()) await work();
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    });
  }

  static open(): World {
    const directory = mkdtempSync(join(tmpdir(), 'kandev-faults-'));
    chmodSync(directory, 0o755); // the database may run under another account
    return new World(directory);
  }

  /** Undoes `work` when the world closes. */
  later(work: () => Promise<void> | void): void {
    this.undo.push(work);
  }

  /** A new, empty directory that others may pass through. */
  folder(name: string): string {
    const path = join(this.directory, `${name}-${++this.made}`);
    mkdirSync(path, { mode: 0o755 });
    return path;
  }

  /** A database of its own, empty, in the world's one PostgreSQL. */
  async database(): Promise<string> {
    this.shared ??= this.postgres(this.folder('postgres'));
    return this.databaseIn((await this.shared).url);
  }

  /** The same in another PostgreSQL. */
  async databaseIn(server: string): Promise<string> {
    const name = `faults_${++this.made}`;
    await query(server, `create database ${name}`);
    const url = new URL(server);
    url.pathname = `/${name}`;
    return url.href;
  }

  /** Starts a PostgreSQL on the cluster in the directory, which is made first if need be. */
  async postgres(directory: string): Promise<PrivatePostgres> {
    const postgres = await startEmbeddedPostgres({ directory, log: () => undefined });
    this.later(async () => {
      await postgres.stop();
      const { dataDirectory } = postgres;
      if (!dataDirectory.startsWith(directory)) rmSync(dirname(dataDirectory), { recursive: true, force: true });
    });
    return postgres;
  }
}

/** Rows of one statement. */
export async function query<T extends object>(url: string, sql: string, parameters: unknown[] = []): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // told by the statement as well
  await client.connect();
  try {
    return (await client.query<T>(sql, parameters)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
