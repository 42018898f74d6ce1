import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TestUser } from '../../support/test-user.js';
import { removeTrials } from '../../support/trials.js';
import { until } from '../../support/until.js';
import type { World } from './world.js';

/** What `npm run faults` builds, or was told to take. */
const DIST = process.env['FAULTS_DIST'] ?? join(import.meta.dirname, '../../../dist');
const LIMIT_MS = 120_000; // a start with migrations, on a machine that is at its limit

/** What makes a server. Two of them may have one home and one database. */
export interface ServerPlace {
  home: string;
  database: string;
  env: Record<string, string>;
}

/** The built server as a process that is killed, frozen and started again. */
export class ServerProcess {
  url = '';
  /** How often it was started. */
  starts = 0;
  private child: ChildProcess | undefined;
  private readonly logFile: string;

  constructor(
    world: World,
    readonly place: ServerPlace,
  ) {
    this.logFile = join(world.folder('server'), 'log');
    world.later(async () => {
      await this.end('SIGKILL');
      endAgents(place.home);
      await removeTrials(place.home);
    });
  }

  get pid(): number {
    return this.child?.pid ?? -1;
  }

  get log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  /** Starts it (again); resolves when it listens. `env` is for this start alone. */
  async start(env: Record<string, string> = {}): Promise<void> {
    const child = this.launch(env);
    const file = join(this.place.home, 'server.json');
    this.url = await until(
      'the server to listen',
      () => {
        if (child.exitCode !== null || child.signalCode !== null) return 'ended';
        const { url, pid } = JSON.parse(readFileSync(file, 'utf8')) as { url: string; pid: number };
        return pid === child.pid && url;
      },
      LIMIT_MS,
    );
    if (this.url === 'ended') throw new Error(`the server has ended:\n${this.log.slice(-2_000)}`);
  }

  /** Starts it without waiting for anything. */
  launch(env: Record<string, string> = {}): ChildProcess {
    const output = openSync(this.logFile, 'a');
    const { home, database } = this.place;
    this.child = spawn(process.execPath, ['--enable-source-maps', join(DIST, 'src/main.js')], {
      stdio: ['ignore', output, output],
      env: {
        PATH: process.env['PATH'],
        ...{ HOME: home, KANDEV_HOME: home, DATABASE_URL: database, SERVER_HOST: '127.0.0.1', SERVER_PORT: '0' },
        ...{ LOG_FORMAT: 'json', KANDEV_ALLOW_PROCESS_RUNTIME: 'true', KANDEV_STOP_GRACE_SECONDS: '2' },
        ...{ KANDEV_DISK_LIMIT_METHOD: 'measured', KANDEV_MIN_FREE_DISK_BYTES: '0', KANDEV_MAX_CONCURRENT_RUNS: '16' },
        KANDEV_RETRY_MAX_ATTEMPTS: '1', // an agent that a fault has ended is told of once; suites of retries set their own
        // Clients of these tests ask again and again, all from one address and as one user.
        ...{ RATE_LIMIT_PER_MINUTE: '0', RATE_LIMIT_ANONYMOUS_PER_MINUTE: '0' },
        ...this.place.env,
        ...env,
      },
    });
    closeSync(output);
    this.starts++;
    return this.child;
  }

  /** The machine pulls the plug. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Sends the signal, and no more. */
  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** What has ended it, as long as it is not started again. */
  get endedBy(): NodeJS.Signals | number | undefined {
    return this.child?.signalCode ?? this.child?.exitCode ?? undefined;
  }

  /** Waits until a signal has ended it; returns which. */
  async ended(): Promise<NodeJS.Signals | number> {
    return until('the server to end', () => this.endedBy, LIMIT_MS);
  }

  /** Waits until it stands still. */
  async frozen(): Promise<void> {
    await until('the server to freeze', () => stateOf(this.pid) === 'T', LIMIT_MS);
  }

  /** Client of a new user; the first one of a database is its administrator. */
  async newUser(name: string): Promise<TestUser> {
    return TestUser.register(() => this.url, name);
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}

/** A letter, as /proc has it: T is stopped. Undefined when there is no such process. */
function stateOf(pid: number): string | undefined {
  return existsSync(`/proc/${pid}/stat`)
    ? /^\d+ \(.*\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]
    : undefined;
}

/** Ends the agents that live on without their server, and removes what they have written. */
function endAgents(home: string): void {
  const runs = join(home, 'runs');
  for (const agent of existsSync(runs) ? readdirSync(runs) : []) {
    const file = join(runs, agent, 'pid');
    const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
    // The number may be another's by now, unless its command line names the directory.
    if (pid > 1 && commandLine(pid).includes(agent)) process.kill(-pid, 'SIGKILL');
  }
  rmSync(runs, { recursive: true, force: true, maxRetries: 5 });
}

function commandLine(pid: number): string {
  return existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
}
