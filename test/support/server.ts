import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestUser } from './test-user.js';
import { createDatabase } from './database.js';
import { unmountBelow } from './mounts.js';
import { removeTrials } from './trials.js';
import { until } from './until.js';

/** The built server. */
export const MAIN = join(import.meta.dirname, '../../dist/src/main.js');

/** A start takes two seconds of a core; there may be many who want one. */
const START_LIMIT_MS = 60_000;

/** The built server as a process of its own, with a home and a database of its own. */
export class TestServer {
  private child: ChildProcess | undefined;
  url = '';

  private constructor(
    /** Everything below goes when the server is disposed of. */
    readonly directory: string,
    readonly database: { url: string; drop(): Promise<void> },
    private readonly env: Record<string, string>,
  ) {}

  /** Starts a server; `env` adds to or replaces the settings. */
  static async start(env: Record<string, string> = {}): Promise<TestServer> {
    const directory = mkdtempSync(join(tmpdir(), 'kandev-test-'));
    chmodSync(directory, 0o711);
    const server = new TestServer(directory, await createDatabase(), env);
    await server.start().catch(async (error: unknown) => {
      await server.dispose();
      throw error;
    });
    return server;
  }

  get home(): string {
    return this.env['KANDEV_HOME'] ?? join(this.directory, 'home');
  }

  get pid(): number {
    return this.child?.pid ?? -1;
  }

  get log(): string {
    return readFileSync(join(this.directory, 'server.log'), 'utf8');
  }

  /** Starts it (again); resolves when it listens. */
  async start(): Promise<void> {
    const output = openSync(join(this.directory, 'server.log'), 'a');
    const child = spawn(process.execPath, ['--enable-source-maps', MAIN], {
      stdio: ['ignore', output, output],
      env: {
        PATH: process.env['PATH'],
        HOME: this.directory,
        KANDEV_HOME: this.home,
        DATABASE_URL: this.database.url,
        SERVER_HOST: '127.0.0.1',
        SERVER_PORT: '0',
        LOG_FORMAT: 'json',
        KANDEV_ALLOW_LOCAL_REPOSITORIES: 'true',
        KANDEV_ALLOW_PROCESS_RUNTIME: 'true',
        KANDEV_STOP_GRACE_SECONDS: '2',
        // A failure is the end of a run. Tests of retries set their own.
        KANDEV_RETRY_MAX_ATTEMPTS: '1',
        // Tests look at workspaces when their runs are over: in plain folders. Those of disks set their own.
        KANDEV_DISK_LIMIT_METHOD: 'measured',
        // Tests ask again and again, all from one address. Those of the limits set their own.
        RATE_LIMIT_PER_MINUTE: '0',
        RATE_LIMIT_ANONYMOUS_PER_MINUTE: '0',
        ...ofOurs('DOCKER_HOST', 'NODE_COMPILE_CACHE'),
        ...this.env,
      },
    });
    closeSync(output);
    this.child = child;
    this.url = await until(
      'the server to listen',
      () => {
        if (child.exitCode !== null) throw new Error(`the server has ended:\n${this.log}`);
        const { url, pid } = JSON.parse(readFileSync(join(this.home, 'server.json'), 'utf8')) as {
          url: string;
          pid: number;
        };
        return pid === child.pid && url;
      },
      START_LIMIT_MS,
    );
  }

  /** A clean end by SIGTERM; returns the exit code. */
  async stop(): Promise<number | null> {
    return this.end('SIGTERM');
  }

  /** The machine pulls the plug. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** The signal (or exit code) that it has ended with, once it has. */
  async ended(): Promise<NodeJS.Signals | number> {
    return until('the server to end', () => this.child?.signalCode ?? this.child?.exitCode ?? undefined);
  }

  /** The next start is without this setting. */
  clear(name: string): void {
    delete this.env[name];
  }

  /** Client of a new user. The first one of a server is its administrator. */
  async newUser(name = `user${Math.random().toString(36).slice(2, 10)}`): Promise<TestUser> {
    return TestUser.register(() => this.url, name);
  }

  /** Ends it and removes all it has made but containers: those are the test's to wait for. */
  async dispose(): Promise<void> {
    await this.kill();
    await this.database.drop();
    unmountBelow(this.directory);
    await removeTrials(this.home);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill(signal);
    return ended;
  }
}

/** Those of our own settings that a server under test has as well. */
function ofOurs(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
