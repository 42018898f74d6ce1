import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { Credentials, type GitUse } from '../../domain/credentials.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { signalGroup } from '../process/process-table.js';
import { GitConfig, gitEnvironment } from './git-environment.js';
import { tellingLines } from './git-errors.js';
import { feedInput, Lines, readOutput, type StreamOptions } from './git-streams.js';

export { GitOutputTooLarge } from './git-streams.js';

/** What one call of git gets besides its arguments. */
export interface GitOptions extends StreamOptions {
  /** Ends git and all it has started. */
  signal: AbortSignal;
  /** A repository of ours. Without one git sees none, wherever the server was started. */
  gitDir?: string;
  /** Variables on top of ours. */
  env?: Record<string, string>;
  /** After which git is ended; the clone timeout of the configuration where none is given. */
  timeoutSeconds?: number;
  /** Git may speak to others, with the credentials of this user (null: of nobody but the server). See `GitRemotes`. */
  network?: { user_id: string | null; use?: GitUse; ssh?: string[] };
  /** Git may read these repositories of this machine, whoever owns them. Not for addresses that users have given. */
  local?: string[];
  /** Hears each line of git's errors, lines of progress too. */
  onLine?: (line: string) => void;
}

/** How git has ended. */
export interface GitResult {
  code: number;
  /** UTF-8; empty unless collected. */
  stdout: string;
  /** The telling lines of its errors, one line, without credentials and without paths of ours. */
  errors: string;
}

const DRAIN_MS = 1_000; // a helper that outlives git may hold its errors open

/**
 * The one way to run the host's git: without what could make it run something (no configuration but ours, no hooks,
 * no prompts, no monitors, no submodules), never through a shell, and off the network unless it is asked for. Only for
 * repositories of ours: what an agent could write to is not to be handed to it.
 */
@Injectable()
export class Git {
  private readonly settings: GitConfig;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Optional() @Inject(Credentials) private readonly credentials?: Pick<Credentials, 'forGit'>,
  ) {
    this.settings = new GitConfig(config);
  }

  /**
   * Runs git and resolves when it has ended, whatever its exit code. Arguments that come from outside stand behind
   * `--` or are checked by the caller.
   * @throws AttemptFailure `workspace.clone_failed` when there is no git or it takes too long; GitOutputTooLarge; the
   *   signal's reason when it aborts; what `stdin` or `stdout` throw
   */
  async run(args: readonly string[], options: GitOptions): Promise<GitResult> {
    const { signal, network } = options;
    signal.throwIfAborted(); // one that has aborted already tells no listener
    const granted = network && (await this.credentials?.forGit(network.user_id, network.use));
    const seconds = options.timeoutSeconds ?? this.config.agent.clone_timeout_seconds;
    const timeout = AbortSignal.timeout(seconds * 1000);
    const env = gitEnvironment(this.config, this.settings.path(options.local), {
      gitDir: options.gitDir,
      network,
      local: options.local !== undefined,
      granted: granted?.environment,
      own: options.env,
    });
    const child = spawn('git', args, {
      cwd: this.settings.directory,
      env,
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', collects(options) ? 'pipe' : 'ignore', 'pipe'],
      detached: true, // its helpers (ssh, remote-https) are in its group: the group goes as one
    });
    const { code, stdout, errors } = await this.follow(child, options, AbortSignal.any([signal, timeout]));
    signal.throwIfAborted();
    if (timeout.aborted) {
      throw new AttemptFailure(
        'workspace.clone_failed',
        `git took longer than ${seconds} s (KANDEV_CLONE_TIMEOUT_SECONDS).`,
      );
    }
    const { home, workspaces_directory } = this.config;
    const directories = [join(home, 'git'), workspaces_directory];
    return { code, stdout, errors: tellingLines(errors, { directories, secrets: granted?.secrets ?? [] }) };
  }

  private async follow(child: ChildProcess, options: GitOptions, stop: AbortSignal): Promise<GitResult> {
    const kill = (): void => {
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
      child.stdout?.destroy(); // something of git's in a group of its own may hold it open
    };
    stop.addEventListener('abort', kill, { once: true });
    if (stop.aborted) kill(); // while credentials were looked up
    const said = new Lines(options.onLine);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => said.add(text));
    const ended = new Promise<number>((resolve, reject) => {
      child.once('error', () =>
        reject(
          new AttemptFailure('workspace.clone_failed', 'git could not be started on the server; is it installed?'),
        ),
      );
      child.once('close', (code) => resolve(code ?? -1));
      // What came until a moment after the end is enough of errors; output is waited for where it is read.
      child.once('exit', (code) => setTimeout(() => resolve(code ?? -1), DRAIN_MS).unref());
    });
    try {
      const [code, stdout] = await Promise.all([ended, readOutput(child, options), feedInput(child, options)]).catch(
        async (error: unknown) => {
          kill();
          await ended.catch(() => undefined);
          if (stop.aborted) return [-1, ''] as const; // killed by us: the caller says why
          throw error;
        },
      );
      return { code, stdout, errors: said.end() };
    } finally {
      stop.removeEventListener('abort', kill);
      child.stderr?.destroy();
    }
  }
}

function collects({ stdout = 'ignore' }: GitOptions): boolean {
  return stdout !== 'ignore';
}
