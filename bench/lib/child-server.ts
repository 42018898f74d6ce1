import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUpLater } from './interrupt.js';

const START_LIMIT_MS = 120_000; // migrations on a loaded machine; some seconds where it is quiet
const STOP_LIMIT_MS = 20_000;
const POLL_MS = 20;

/** A server as a process of its own, with its output in a file. */
export class ChildServer {
  /** Ends it; safe to call again. */
  readonly stop: () => Promise<void>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly logFile: string,
    readonly url: string,
  ) {
    this.stop = cleanUpLater(() => end(child));
  }

  /** Starts Node on `args`; resolves when `listening` tells the URL. Throws with the end of the log when it ends before. */
  static async start(options: {
    args: readonly string[];
    env: Record<string, string>;
    logFile: string;
    listening: (pid: number) => string | undefined;
  }): Promise<ChildServer> {
    const output = openSync(options.logFile, 'a');
    const child = spawn(process.execPath, options.args, {
      stdio: ['ignore', output, output],
      env: { PATH: process.env['PATH'], ...options.env },
    });
    closeSync(output);
    const kill = cleanUpLater(() => end(child));
    const tail = (): string => readFileSync(options.logFile, 'utf8').split('\n').slice(-20).join('\n');
    for (const deadline = Date.now() + START_LIMIT_MS; ; await sleep(POLL_MS)) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the server has ended:\n${tail()}`);
      const url = options.listening(child.pid ?? 0);
      if (url !== undefined) return new ChildServer(child, options.logFile, url);
      if (Date.now() < deadline) continue;
      await kill();
      throw new Error(`the server does not listen:\n${tail()}`);
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What it has written so far. */
  get log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await gone;
  clearTimeout(late);
}
