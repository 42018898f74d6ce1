import { AttemptFailure } from '../../domain/outcome.js';
import { Redactor } from '../../domain/redaction.js';
import { PushRefused, type Pushed, type WorkTree } from '../../domain/work-trees.js';
import { lineOf } from './git-bytes.js';
import type { GitRemotes, Reach } from './git-remotes.js';
import { SecretScan } from './secret-scan.js';
import type { WorkTreeReader } from './work-tree-reader.js';

const SECONDS = 600;
const MAX_SCANNED_BYTES = 512 * 1024 * 1024; // of new content that is looked through for secrets; more is refused

type Target = Pick<WorkTree, 'task_id' | 'base_commit'> & { repository_url: string; branch: string; commit: string };

/** Pushes of a task's own branch: this one ref, to this one branch, and nothing else. */
export class WorkTreePush {
  constructor(
    private readonly reader: WorkTreeReader,
    private readonly remotes: GitRemotes,
  ) {}

  async push(
    of: Target,
    by: { user_id: string | null; lease?: string | null; secrets: readonly string[] },
    signal: AbortSignal,
  ): Promise<Pushed> {
    const gitDir = await this.reader.repositories.ensure(of.repository_url);
    await this.refuseSecrets(of, gitDir, by.secrets, signal);
    const { args, address, options } = await this.reach(of.repository_url, by.user_id);
    const target = `refs/heads/${of.branch}`;
    const lease = by.lease === undefined ? [] : [`--force-with-lease=${target}:${by.lease ?? ''}`];
    const flags = [
      '--porcelain',
      '--no-verify',
      '--no-follow-tags',
      '--recurse-submodules=no',
      '--no-signed',
      ...lease,
    ];
    const use = { task_id: of.task_id, action: 'push' as const };
    const network = options.network ? { network: { ...options.network, use } } : {};
    const { code, stdout, errors } = await this.reader.git.run(
      [...args, 'push', ...flags, '--', address, `${of.commit}:${target}`],
      { ...options, ...network, gitDir, signal, stdout: 'collect', timeoutSeconds: SECONDS },
    );
    if (code !== 0) throw refusal(`${stdout}\n${errors}`, errors);
    await this.remember(of, signal);
    return { message: errors };
  }

  private async reach(url: string, userId: string | null): Promise<Reach> {
    try {
      return await this.remotes.reach(url, userId);
    } catch (error) {
      if (!(error instanceof AttemptFailure)) throw error;
      throw new PushRefused(
        error.code === 'workspace.repository_refused' ? 'refused_address' : 'unreachable',
        error.message,
      );
    }
  }

  /** What the remote has now counts as the remote's. */
  private async remember({ repository_url, branch, commit }: Target, signal: AbortSignal): Promise<void> {
    await this.reader.repositories.withRepository(repository_url, async (gitDir) => {
      const set = ['update-ref', '--no-deref', `refs/remotes/origin/${branch}`, commit];
      await this.reader.git.run(set, { gitDir, signal }); // a branch of the same name in the way: fetching sorts it out
    });
  }

  /** A secret that was given to an agent must not leave with its commits. */
  private async refuseSecrets(
    { base_commit, commit }: Target,
    gitDir: string,
    secrets: readonly string[],
    signal: AbortSignal,
  ) {
    const redactor = Redactor.of(secrets);
    if (!redactor.active) return;
    const { git } = this.reader;
    const not = ['--not', '--remotes=origin', ...(base_commit === null ? [] : [base_commit])];
    const listed = await lineOf(git, ['rev-list', '--objects', commit, ...not], { gitDir, signal });
    const objects = listed
      .split('\n')
      .map((line) => line.slice(0, line.indexOf(' ') < 0 ? undefined : line.indexOf(' ')));
    const stdout = new SecretScan(redactor, MAX_SCANNED_BYTES);
    const read = { gitDir, signal, stdin: `${objects.join('\n')}\n`, stdout };
    const { code, errors } = await git.run(['cat-file', '--batch', '--buffer'], read);
    if (code !== 0) throw new Error(`git cat-file failed: ${errors}`);
    if (stdout.found)
      throw new PushRefused(
        'secret',
        'What would be pushed contains a credential that an agent was given. Remove it from the branch.',
      );
  }
}

function refusal(all: string, errors: string): PushRefused {
  if (/\[(remote )?rejected\]|^!\t|non-fast-forward|stale info|pre-receive hook|protected branch/im.test(all)) {
    const reasons = all
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.split('\t')[2] ?? '');
    return new PushRefused('rejected', [...reasons, errors].filter(Boolean).join(' '));
  }
  if (
    /authentication|permission denied|could not read (username|password)|403|401|access denied|not authorized/i.test(
      all,
    )
  )
    return new PushRefused('auth', errors);
  return new PushRefused('unreachable', errors || 'git gave no reason');
}
