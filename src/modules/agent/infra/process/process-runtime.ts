import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import {
  ContainerRuntime,
  type LaunchSpec,
  type Observed,
  type PreparedImage,
} from '../../domain/container-runtime.js';
import { AttemptFailure, type Exit } from '../../domain/outcome.js';
import type { ResourceUsage } from '../../domain/resource-usage.js';
import { RunDirectories } from '../../domain/run-directory.js';
import { openRegularFile } from '../files/open-regular-file.js';
import { GroupUsage } from './group-usage.js';
import { commandLineOf, groupIsAlive, processIsAlive, signalGroup } from './process-table.js';

/**
 * As in a container: output to files, a latch against a second start. The shell stays, to write down the exit code
 * for a server that was not there; `trap :` lets it outlive the SIGTERM that ends the agent. Its last act ends the
 * whole group, itself included: what the agent has left in the background goes as it would with a container.
 */
const WRAPPER = [
  'cd "$1" || exit 126; R=$2; shift 2',
  '(set -C; : > "$R/started") 2>/dev/null || exit 75',
  '[ -p "$R/in" ] || mkfifo -m 600 "$R/in" || exit 125',
  'echo $$ > "$R/pid.new" && mv "$R/pid.new" "$R/pid"',
  ': > "$R/begun"',
  'trap : TERM INT HUP',
  // Where there is an input to be fed, somebody of this group feeds it, and outlives the SIGTERM, too.
  'if [ -f "$R/input" ]; then',
  '  (trap "" TERM INT HUP; exec tail -c +1 -f "$R/input" >"$R/in" 2>/dev/null) &',
  '  "$@" <"$R/in" >>"$R/out" 2>>"$R/err"',
  'else "$@" <>"$R/in" >>"$R/out" 2>>"$R/err"; fi',
  'code=$?; echo $code > "$R/exit.new" && mv "$R/exit.new" "$R/exit"',
  'kill -KILL 0', // what the agent has left running ends with it, as in a container
  'kill -9 0',
].join('\n');

const MAX_DIGITS = 16;
const KILL_LIMIT_MS = 10_000; // zombies that nobody reaps look alive
const PID_LIMIT_MS = 20_000; // a shell's first line, on a machine at its limit
const POLL_MS = 50; // nobody tells a server that is not the parent
const LOOK_MS = 2_000; // whether a process that has the number is the agent still

/**
 * Agents as plain processes of the server's own user, for machines without an engine. No isolation whatsoever:
 * it must be switched on, and only agent types marked for it run so.
 */
@Injectable()
export class ProcessRuntime extends ContainerRuntime {
  readonly runtime = 'process' as const;
  readonly can_pause = false;
  readonly has_gate = false;
  private readonly samples = new GroupUsage();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly runDirectories: RunDirectories,
  ) {
    super();
  }

  available(): Promise<boolean> {
    return Promise.resolve(this.config.agent.allow_process_runtime);
  }

  findImage(): Promise<null> {
    return Promise.resolve(null);
  }

  prepareImage(): Promise<PreparedImage> {
    if (this.config.agent.allow_process_runtime) return Promise.resolve({ image_id: null, image_digest: null });
    throw new AttemptFailure(
      'runtime.process_off',
      'This server does not run agents without a container. An administrator can allow it with KANDEV_ALLOW_PROCESS_RUNTIME=true.',
    );
  }

  describeImage(): Promise<never> {
    return Promise.reject(new Error('a process has no image'));
  }

  create(spec: LaunchSpec): Promise<{ container_id: string; container_name: string }> {
    const name = `process-${spec.agent_id}`;
    return Promise.resolve({ container_id: name, container_name: name });
  }

  async start(spec: LaunchSpec): Promise<void> {
    const [program] = spec.command ?? [];
    if (!program)
      throw new AttemptFailure('container.start_failed', 'The agent type names no command; a process needs one.');
    const { PATH, HOME, LANG } = this.config.host_environment;
    const environment = { ...(PATH ? { PATH } : {}), ...(HOME ? { HOME } : {}), ...(LANG ? { LANG } : {}) };
    const wrapped = [
      '-c',
      WRAPPER,
      'kandev-agent',
      spec.workspace_directory,
      spec.run_directory,
      ...(spec.command ?? []),
    ];
    await new Promise<void>((resolve, reject) => {
      const child = spawn('/bin/sh', wrapped, {
        detached: true, // a session of its own: neither our death nor Ctrl-C reaches it
        stdio: 'ignore',
        env: { ...environment, ...spec.environment },
      });
      child.once('spawn', resolve);
      child.once('error', (error) =>
        reject(new AttemptFailure('container.start_failed', `The process could not be started: ${error.message}`)),
      );
      child.unref();
    });
    await this.untilPidIsKnown(spec.agent_id);
  }

  /** Nothing confines it. */
  verify(): Promise<null> {
    return Promise.resolve(null);
  }

  /** There is no gate: it runs since its start. */
  begin(): Promise<void> {
    return Promise.resolve();
  }

  /** People can't pause it: what it has started in groups of its own goes on. Better than nothing where it must not work. */
  pause(agentId: string): Promise<void> {
    return this.signal(agentId, 'SIGSTOP');
  }

  /** Of one that does not stand: nothing. */
  resume(agentId: string): Promise<void> {
    return this.signal(agentId, 'SIGCONT');
  }

  async usage(agentId: string): Promise<ResourceUsage | null> {
    const pid = await this.pid(agentId);
    if (pid === undefined || !(await this.isOurs(pid, agentId))) return null;
    return this.samples.sample(agentId, pid);
  }

  async inspect(agentId: string): Promise<Observed> {
    const container_id = `process-${agentId}`;
    const pid = await this.pid(agentId);
    // The order matters: the exit is written before the shell ends.
    if (pid !== undefined && (await this.isOurs(pid, agentId))) {
      return { state: 'running', container_id, paused: false, health: null };
    }
    const code = await this.number(agentId, 'exit');
    if (code !== undefined) return { state: 'exited', container_id, exit: { exit_code: code, oom_killed: false } };
    return { state: 'absent' };
  }

  async waitForExit(agentId: string, signal: AbortSignal): Promise<Exit | 'vanished'> {
    for (;;) {
      const observed = await this.inspect(agentId);
      if (observed.state === 'exited') return observed.exit;
      if (observed.state === 'absent') return 'vanished';
      await this.untilGone(agentId, signal);
    }
  }

  /** Asks the kernel alone, which costs nothing; for a while only, as another process may have its number by then. */
  private async untilGone(agentId: string, signal: AbortSignal): Promise<void> {
    const pid = await this.pid(agentId);
    const deadline = performance.now() + LOOK_MS;
    for (;;) {
      await sleep(POLL_MS, undefined, { signal });
      if (pid === undefined || !processIsAlive(pid) || performance.now() > deadline) return;
    }
  }

  async stop(agentId: string, graceSeconds: number): Promise<void> {
    const pid = await this.pid(agentId);
    if (pid === undefined || !(await this.isOurs(pid, agentId))) return;
    const deadline = Date.now() + graceSeconds * 1000;
    if (graceSeconds > 0) signalGroup(pid, 'SIGTERM');
    if (graceSeconds > 0) signalGroup(pid, 'SIGCONT'); // one that stands would not hear it
    while (groupIsAlive(pid) && Date.now() < deadline + KILL_LIMIT_MS) {
      if (Date.now() >= deadline) signalGroup(pid, 'SIGKILL');
      await sleep(POLL_MS);
    }
  }

  async remove(agentId: string): Promise<void> {
    this.samples.forget(agentId);
    await this.stop(agentId, 0);
  }

  async listAgentIds(): Promise<string[]> {
    const ids = await this.runDirectories.list();
    const running = await Promise.all(ids.map(async (id) => (await this.inspect(id)).state === 'running'));
    return ids.filter((_, index) => running[index]);
  }

  private async untilPidIsKnown(agentId: string): Promise<void> {
    for (const deadline = Date.now() + PID_LIMIT_MS; Date.now() < deadline; await sleep(10)) {
      if ((await this.pid(agentId)) !== undefined) return;
    }
    throw new AttemptFailure('container.start_failed', 'The process did not get as far as its first line.');
  }

  private async signal(agentId: string, signal: NodeJS.Signals): Promise<void> {
    const pid = await this.pid(agentId);
    if (pid !== undefined && (await this.isOurs(pid, agentId))) signalGroup(pid, signal);
  }

  private pid(agentId: string): Promise<number | undefined> {
    return this.number(agentId, 'pid');
  }

  /** Numbers are given again: the process is ours only while its command line names the run directory. */
  private async isOurs(pid: number, agentId: string): Promise<boolean> {
    return (await commandLineOf(pid)).includes(this.runDirectories.path(agentId));
  }

  private async number(agentId: string, file: string): Promise<number | undefined> {
    const handle = await openRegularFile(join(this.runDirectories.path(agentId), file));
    if (!handle) return undefined;
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_DIGITS), 0, MAX_DIGITS, 0);
      const value = Number.parseInt(buffer.toString('latin1', 0, bytesRead), 10);
      return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
    } finally {
      await handle.close();
    }
  }
}
