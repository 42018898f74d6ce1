import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../../../common/config/config.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { signalGroup } from '../process/process-table.js';

const MAX_ERROR_BYTES = 64 * 1024;
const DRAIN_MS = 1_000;

/**
 * The host's git, without what could make it run something: no configuration but ours, no hooks, no prompts, only
 * the transports that are allowed. SSH keys and `~/.git-credentials` of the server's user work.
 */
export class Git {
  private readonly configFile: string;

  constructor(private readonly config: Config) {
    const directory = join(config.home, 'git');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.configFile = join(directory, 'config');
    const lines = [
      '[core]',
      '\thooksPath = /dev/null',
      '[credential]',
      '\thelper = store',
      '[advice]',
      '\tdetachedHead = false',
    ];
    // Repositories of other users of this machine may be cloned where local paths may be.
    if (config.agent.allow_local_repositories) lines.push('[safe]', '\tdirectory = *');
    writeFileSync(this.configFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  }

  /**
   * Runs git; resolves with its exit code and the telling lines of its errors.
   * @throws AttemptFailure `workspace.clone_failed` when there is no git or it takes longer than the clone timeout;
   *   the signal's reason when it aborts
   */
  async run(args: string[], signal: AbortSignal): Promise<{ code: number; errors: string }> {
    signal.throwIfAborted(); // one that has aborted already tells no listener
    const seconds = this.config.agent.clone_timeout_seconds;
    const timeout = AbortSignal.timeout(seconds * 1000);
    const stop = AbortSignal.any([signal, timeout]);
    const child = spawn('git', args, { env: this.environment(), stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (errors.length < MAX_ERROR_BYTES) errors += text;
    });
    // Its helpers (ssh, remote-https) are in its group: the group goes as one.
    const kill = (): void => {
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
    };
    stop.addEventListener('abort', kill, { once: true });
    try {
      const code = await new Promise<number>((resolve, reject) => {
        child.once('error', () =>
          reject(
            new AttemptFailure('workspace.clone_failed', 'git could not be started on the server; is it installed?'),
          ),
        );
        child.once('close', (exitCode) => resolve(exitCode ?? -1));
        // A helper that outlives git may hold its errors open: what came until a moment after the end is enough.
        child.once('exit', (exitCode) => setTimeout(() => resolve(exitCode ?? -1), DRAIN_MS));
      });
      signal.throwIfAborted();
      if (timeout.aborted)
        throw new AttemptFailure(
          'workspace.clone_failed',
          `git took longer than ${seconds} s (KANDEV_CLONE_TIMEOUT_SECONDS).`,
        );
      return { code, errors: tellingLines(errors) };
    } finally {
      stop.removeEventListener('abort', kill);
    }
  }

  private environment(): NodeJS.ProcessEnv {
    const { PATH, HOME, SSH_AUTH_SOCK, SSL_CERT_FILE, GIT_SSL_CAINFO, https_proxy, http_proxy, no_proxy } =
      this.config.host_environment;
    return {
      ...{ PATH, HOME, SSH_AUTH_SOCK, SSL_CERT_FILE, GIT_SSL_CAINFO, https_proxy, http_proxy, no_proxy },
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: this.configFile,
      GIT_TERMINAL_PROMPT: '0',
      GIT_LFS_SKIP_SMUDGE: '1',
      GIT_ALLOW_PROTOCOL: [
        'https',
        'http',
        'ssh',
        'git',
        ...(this.config.agent.allow_local_repositories ? ['file'] : []),
      ].join(':'),
      GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oConnectTimeout=30',
    };
  }
}

/** What git says to people, without its progress and without credentials that a server may echo. */
function tellingLines(errors: string): string {
  return errors
    .split('\n')
    .filter((line) => /^(fatal|error|remote|ssh|Permission denied|Host key)/i.test(line))
    .slice(-5)
    .join(' ')
    .replaceAll(/:\/\/[^/@\s]+@/g, '://***@')
    .slice(0, 1000);
}
