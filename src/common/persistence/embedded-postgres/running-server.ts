import { setTimeout as delay } from 'node:timers/promises';
import { readLockFile } from './lock-file.js';
import { endPostmaster } from './postmaster.js';
import { Presence, addressOf } from './presence.js';
import { isPostmasterOf } from './processes.js';
import type { Server } from './server.js';

/** A PostgreSQL server that runs on this machine for us. */
export interface EmbeddedPostgres {
  /** `postgres://kandev:<password>@127.0.0.1:<port>/kandev`: holds the password, so never log it. */
  readonly url: string;
  readonly port: number;
  /** True if it ran already, left behind by a killed Kandev or in use by another one. */
  readonly adopted: boolean;
  /** Where the cluster really is, which need not be below the directory asked for. */
  readonly dataDirectory: string;
  /**
   * Ends the server and waits until it is gone, cutting our own connections; leaves it running if another Kandev uses
   * it. Safe to call again. Throws `EmbeddedPostgresError` if the server cannot be ended.
   */
  stop(): Promise<void>;
}

/** Our hold on a server that runs: keeps the presence up while it lives, and ends it if nobody else uses it. */
export class RunningServer implements EmbeddedPostgres {
  readonly url: string;
  readonly port: number;
  readonly adopted: boolean;
  readonly dataDirectory: string;
  readonly #server: Server;
  #presence: Presence;
  #stopping: Promise<void> | null = null;

  constructor(server: Server, presence: Presence, adopted: boolean) {
    this.url = addressOf(server, presence.port, 'kandev');
    this.port = presence.port;
    this.adopted = adopted;
    this.dataDirectory = server.data;
    this.#server = server;
    this.#presence = presence;
    this.#watch(presence);
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#shutDown());
  }

  async #shutDown(): Promise<void> {
    const { log, data } = this.#server;
    const presence = this.#presence.lost ? await this.#rejoin() : this.#presence;
    const pid = await this.#livingPid();
    if (pid && presence && (await presence.claim().catch(() => false))) {
      await endPostmaster(pid, data);
      log('PostgreSQL stopped');
    } else if (pid) {
      log(`PostgreSQL is left running (${presence ? 'another Kandev uses it' : 'it does not answer'})`);
    }
    await presence?.leave();
  }

  #watch(presence: Presence): void {
    presence.onLost = () => void this.#comeBack();
    presence.rest();
    if (presence.lost) presence.onLost();
  }

  /** A crash of one session makes PostgreSQL restart all of them: be present again as soon as it is back. */
  async #comeBack(): Promise<void> {
    for (let wait = 100; !this.#stopping; wait = Math.min(wait * 2, 5_000)) {
      await delay(wait, undefined, { ref: false });
      if (this.#stopping) return;
      if (!(await this.#livingPid())) {
        this.#server.log('PostgreSQL has ended unexpectedly; restart Kandev to start it again');
        return;
      }
      const presence = await this.#rejoin();
      if (!presence) continue;
      this.#presence = presence;
      this.#watch(presence);
      return;
    }
  }

  #rejoin(): Promise<Presence | null> {
    return Presence.join(this.#server, this.port).catch(() => null);
  }

  /** The postmaster we joined, unless it is gone; one that somebody else has started since has another port. */
  async #livingPid(): Promise<number | null> {
    const { data } = this.#server;
    const lock = await readLockFile(data).catch(() => null);
    return lock?.port === this.port && (await isPostmasterOf(lock.pid, data)) ? lock.pid : null;
  }
}
