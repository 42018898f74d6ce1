import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import type { startEmbeddedPostgres } from '../../src/common/persistence/embedded-postgres/embedded-postgres.js';
import type { Build } from './build.js';
import { ChildServer } from './child-server.js';
import { cleanUpLater } from './interrupt.js';

/** The server's own way to run a PostgreSQL, from its build. */
interface EmbeddedPostgresModule {
  startEmbeddedPostgres: typeof startEmbeddedPostgres;
}

/** Both servers that are compared run with these. */
export const NODE_FLAGS = ['--enable-source-maps'];
/** Connections of a server to the database: the server's own default, and the same for the raw one. */
export const POOL_SIZE = 20;

/** Limits are not what is measured here. */
const NO_LIMITS = {
  RATE_LIMIT_PER_MINUTE: '0',
  RATE_LIMIT_ANONYMOUS_PER_MINUTE: '0',
  RATE_LIMIT_SIGN_INS_PER_ADDRESS: '0',
  RATE_LIMIT_FAILED_SIGN_INS_PER_ACCOUNT: '0',
};

/** A temporary directory with a PostgreSQL and servers in it; `close` removes all of it, as Ctrl-C does. */
export class World {
  readonly jwt_secret = randomBytes(32).toString('hex');
  private readonly pools = new Map<string, pg.Pool>();
  readonly close: () => Promise<void>;

  private constructor(
    readonly build: Build,
    readonly directory: string,
    private readonly serverUrl: string,
    close: () => Promise<void>,
  ) {
    this.close = cleanUpLater(async () => {
      for (const pool of this.pools.values()) await pool.end();
      await close();
    });
  }

  static async open(build: Build): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), 'kandev-bench-'));
    chmodSync(directory, 0o755); // the database may run under another account
    const home = join(directory, 'postgres');
    mkdirSync(home, { mode: 0o755 });
    const embedded = await build.import<EmbeddedPostgresModule>(
      'src/common/persistence/embedded-postgres/embedded-postgres',
    );
    const postgres = await embedded.startEmbeddedPostgres({ directory: home, log: () => undefined });
    return new World(build, directory, postgres.url, async () => {
      await postgres.stop();
      if (!postgres.dataDirectory.startsWith(directory))
        rmSync(dirname(postgres.dataDirectory), { recursive: true, force: true });
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    });
  }

  /** What PostgreSQL logs. */
  get postgresLog(): string {
    return join(this.directory, 'postgres/postgres.log');
  }

  databaseUrl(name = 'kandev'): string {
    const url = new URL(this.serverUrl);
    url.pathname = `/${name}`;
    return url.href;
  }

  /** Connections of our own to a database, for setting it up and looking into it. */
  database(name = 'kandev'): pg.Pool {
    const known = this.pools.get(name);
    if (known) return known;
    const pool = new pg.Pool({ connectionString: this.databaseUrl(name), max: 2, application_name: 'bench' });
    pool.on('error', () => undefined); // an idle connection that a copied database cut
    this.pools.set(name, pool);
    return pool;
  }

  /** Copies a database that nobody uses at the moment. */
  async copyDatabase(from: string, to: string): Promise<void> {
    await this.pools.get(from)?.end();
    this.pools.delete(from);
    const alien = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1';
    await this.database('postgres').query(alien, [from]);
    await this.database('postgres').query(`create database ${to} template ${from}`);
  }

  /** Starts the built server on the database `kandev`; `env` adds to its settings, or replaces them. */
  async startKandev(flags: readonly string[] = [], env: Record<string, string> = {}): Promise<ChildServer> {
    const home = join(this.directory, 'home');
    return ChildServer.start({
      args: [...NODE_FLAGS, ...flags, this.build.main],
      logFile: join(this.directory, 'kandev.log'),
      env: {
        NODE_ENV: 'production',
        HOME: this.directory,
        KANDEV_HOME: home,
        DATABASE_URL: this.databaseUrl(),
        DB_MAX_CONNS: String(POOL_SIZE),
        SERVER_HOST: '127.0.0.1',
        SERVER_PORT: '0',
        LOG_FORMAT: 'json',
        JWT_SECRET: this.jwt_secret,
        DOCKER_HOST: `unix://${join(home, 'no-engine.sock')}`, // no agent runs here
        ...NO_LIMITS,
        ...env,
      },
      listening: (pid) => addressOf(join(home, 'server.json'), pid),
    });
  }
}

/** The URL in the file that a server writes when it listens, if it is this server's. */
export function addressOf(file: string, pid: number): string | undefined {
  try {
    const address = JSON.parse(readFileSync(file, 'utf8')) as { url: string; pid: number };
    return address.pid === pid ? address.url : undefined;
  } catch {
    return undefined; // not there yet
  }
}
