import { realpath } from 'node:fs/promises';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { EmbeddedPostgresError, hasCode } from './errors.js';
import { pidExists } from './processes.js';
import type { Server } from './server.js';

const CLOSE_MS = 1_000;

/** Both numbers name one advisory lock in database `postgres`; they only have to be ours. */
const LOCK = '1801547364, 1';

/** `postgres://` address of a database of the server on `port`. */
export function addressOf({ password }: Server, port: number, database: string): string {
  return `postgres://kandev:${password}@127.0.0.1:${port}/${database}`;
}

/**
 * One connection for as long as we use a server, holding a shared advisory lock: the sign that we are here. Who wants
 * to shut the server down takes the lock exclusively, so he knows that nobody is there and that nobody can come in
 * between: a newcomer waits for the lock, loses the connection, and starts the server anew.
 */
export class Presence {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  readonly version: string;
  readonly port: number;
  lost = false;
  /** Called once if the server cuts the connection. */
  onLost: () => void = () => undefined;

  private constructor(client: pg.Client, socket: Socket, version: string, port: number) {
    this.#client = client;
    this.#socket = socket;
    this.version = version;
    this.port = port;
    client.once('end', () => {
      if (!this.lost) this.onLost();
      this.lost = true;
    });
  }

  /** Connects to the server on `port`. Throws if it is not the one of our data directory, or is going down. */
  static async join(server: Server, port: number): Promise<Presence> {
    const socket = new Socket();
    const client = new pg.Client({
      stream: () => socket,
      connectionString: addressOf(server, port, 'postgres'),
      application_name: `kandev-presence-${process.pid}`,
      ssl: false,
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
    });
    client.on('error', () => undefined); // a server that ends cuts the connection; `lost` tells
    try {
      await client.connect();
      const found = await client.query<{ directory: string; version: string }>(
        "select current_setting('data_directory') as directory, current_setting('server_version') as version",
      );
      const { directory = '', version = '' } = found.rows[0] ?? {};
      if ((await realpath(directory)) !== (await realpath(server.data))) throw new Error(`it serves ${directory}`);
      await client.query("set lock_timeout = '5s'");
      await client.query(`select pg_advisory_lock_shared(${LOCK})`);
      return new Presence(client, socket, version, port);
    } catch (error) {
      await close(client, socket);
      if (!hasCode(error, '28P01', '28000')) throw error;
      throw new EmbeddedPostgresError(
        `PostgreSQL in ${server.data} refuses the password in ${server.home}/password. Restore that file.`,
      );
    }
  }

  /** Creates the database unless it is there. */
  async ensureDatabase(name: string): Promise<void> {
    const found = await this.#client.query('select from pg_database where datname = $1', [name]);
    if (found.rowCount) return;
    await this.#client.query(`create database ${pg.escapeIdentifier(name)}`).catch((error: unknown) => {
      if (!hasCode(error, '42P04', '23505')) throw error; // another starter created it at the same moment
    });
  }

  /** From now on it is a sign only, and does not keep our process alive by itself. */
  rest(): void {
    this.#socket.unref();
  }

  /** True if no other Kandev uses the server; from then on none can begin to, until we leave or the server ends. */
  async claim(): Promise<boolean> {
    this.#socket.ref();
    await this.#client.query(`select pg_advisory_unlock_shared(${LOCK})`);
    const claimed = await this.#client.query<{ ok: boolean }>(`select pg_try_advisory_lock(${LOCK}) as ok`);
    return claimed.rows[0]?.ok === true && !(await this.#othersConnected());
  }

  /**
   * Connections named `kandev-<pid>`, `kandev-<pid>.…` (or `kandev…`) of others: also of programs that were only given the address.
   * Presences are left to the lock, or two who leave at the same time would each stay out of regard for the other;
   * and what a process that died has left does not count.
   */
  async #othersConnected(): Promise<boolean> {
    const { rows } = await this.#client.query<{ name: string }>(
      `select application_name as name from pg_stat_activity where backend_type = 'client backend'
       and application_name like 'kandev%' and application_name not like 'kandev-presence-%' and application_name <> $1
       and application_name not like $1 || '.%'`,
      [`kandev-${process.pid}`],
    );
    return rows.some(({ name }) => {
      const pid = Number(/^kandev-(\d+)(?:\.|$)/.exec(name)?.[1] ?? 0);
      return pid === 0 || pidExists(pid);
    });
  }

  async leave(): Promise<void> {
    this.lost = true;
    await close(this.#client, this.#socket);
  }
}

/** Says goodbye, but does not wait for a server that no longer answers. */
async function close(client: pg.Client, socket: Socket): Promise<void> {
  const timer = new AbortController();
  socket.ref();
  await Promise.race([client.end(), delay(CLOSE_MS, undefined, timer)]).catch(() => undefined);
  timer.abort();
  socket.destroy();
}
