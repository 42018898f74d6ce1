import pg from 'pg';
import type { Config } from '../config/config.js';
import { join } from 'node:path';
import { startEmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';

/** Where the rows are, and how to let go of it. */
export interface Database {
  url: string;
  /** `embedded` when the server runs PostgreSQL itself. */
  kind: 'embedded' | 'external';
  /** Stops an embedded PostgreSQL that nobody else uses; nothing else. */
  stop(): Promise<void>;
}

/**
 * The user's PostgreSQL when `DATABASE_URL` or `DB_HOST` is set, else an embedded one below `KANDEV_HOME`.
 * @throws Error with what to do about it, when no database can be reached
 */
export async function openDatabase(config: Config, log: (message: string) => void): Promise<Database> {
  const url = externalUrl(config);
  if (!url) {
    const postgres = await startEmbeddedPostgres({ directory: join(config.home, 'postgres'), log });
    return { url: postgres.url, kind: 'embedded', stop: () => postgres.stop() };
  }
  await waitUntilReachable(url, log);
  return { url, kind: 'external', stop: () => Promise.resolve() };
}

function externalUrl(config: Config): string | undefined {
  const { url, host, port, user, password, name, ssl_mode } = config.database;
  if (url) return url;
  if (!host) return undefined;
  const built = new URL(`postgres://${host.includes(':') ? `[${host}]` : host}:${port}`);
  built.username = encodeURIComponent(user);
  if (password) built.password = encodeURIComponent(password);
  built.pathname = `/${encodeURIComponent(name)}`;
  if (ssl_mode !== 'disable') built.searchParams.set('sslmode', ssl_mode);
  return built.href;
}

const REACH_TIMEOUT_MS = 60_000; // a database container beside ours may need this long to come up

async function waitUntilReachable(url: string, log: (message: string) => void): Promise<void> {
  const deadline = Date.now() + REACH_TIMEOUT_MS;
  for (let told = false; ; told = true) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined); // an error of a connection that is going away is told by connect()
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      const hopeless = code === '28P01' || code === '28000' || code === '3D000'; // wrong password, role or database
      const { hostname, port } = new URL(url);
      if (hopeless || Date.now() > deadline) {
        throw new Error(
          `PostgreSQL at ${hostname}:${port || '5432'} refuses us: ${message}. Check DATABASE_URL or DB_HOST, DB_USER, DB_PASSWORD, DB_NAME.`,
          { cause: error },
        );
      }
      if (!told) log(`waiting for PostgreSQL at ${hostname}:${port || '5432'} …`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}
