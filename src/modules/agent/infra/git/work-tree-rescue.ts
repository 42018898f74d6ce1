import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { IGNORED, type Rescued, type WorkTree } from '../../domain/work-trees.js';
import type { AgentRefs } from './agent-refs.js';
import { lineOf } from './git-bytes.js';
import { rescueRef } from './task-refs.js';
import { COMMITTER } from './work-tree-commit.js';
import { EMPTY_TREE, type WorkTreeReader } from './work-tree-reader.js';

/** What the message of a rescue's commit says, as JSON after its first line: what a tree and parents don't. */
export interface RescueNote {
  version: 1;
  base_commit: string | null;
  /** The branch that was checked out, or a commit; null where there was none. */
  head: { ref: string } | { commit: string } | null;
  refs: Record<string, string>;
}

const TITLE = 'What a workspace had that no remote has';

/** Keeps what only a workspace has: its files as a tree, the agent's commits as parents, under one ref of ours. */
export class WorkTreeRescue {
  constructor(private readonly reader: WorkTreeReader) {}

  async rescue(of: WorkTree, id: string, signal: AbortSignal): Promise<Rescued | null> {
    await makeReadable(of.root, signal);
    const tree = await this.reader.known(of, signal);
    const { agent, refs, gitDir, left_out } = await this.reader.agentCommits(tree, signal);
    const where = { gitDir, signal };
    const foreign = await this.foreign(where, tree, refs);
    const files = await this.reader.snapshot(tree, 'everything', signal);
    const nothingLost = left_out.length === 0 && files.left_out.every(({ why }) => why.startsWith(IGNORED));
    if (foreign.length === 0 && nothingLost && (await this.isKnown(where, tree, files, signal))) return null;
    const note: RescueNote = {
      version: 1,
      base_commit: tree.base_commit,
      head: headOf(agent, refs),
      refs: branchesOf(refs),
    };
    const parents = [
      ...new Set([tree.base_commit, tree.branch_commit, ...foreign].filter((commit) => commit !== null)),
    ];
    const commit = await lineOf(
      this.reader.git,
      ['commit-tree', ...parents.flatMap((parent) => ['-p', parent]), files.tree],
      {
        ...where,
        stdin: `${TITLE}\n\n${JSON.stringify(note, null, 1)}\n`,
        env: { ...COMMITTER, GIT_AUTHOR_NAME: 'Kandev', GIT_AUTHOR_EMAIL: 'kandev@localhost' },
      },
    );
    const ref = rescueRef(id);
    const set = ['update-ref', '--no-deref', ref, commit];
    await this.reader.repositories.withRepository(
      tree.repository_url,
      () => lineOf(this.reader.git, set, where),
      signal,
    );
    const { tree: tree_sha, files: count, bytes } = files;
    return { ref, commit_sha: commit, tree_sha, files: count, bytes, left_out: [...left_out, ...files.left_out] };
  }

  /** The files are those of a commit that a remote has; ignored files and empty folders are none of those. */
  private async isKnown(
    where: { gitDir: string; signal: AbortSignal },
    tree: WorkTree,
    files: { tree: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const known = [tree.base_commit, tree.pushed_commit].filter((commit) => commit !== null);
    const trees = await Promise.all(
      known.map((commit) => lineOf(this.reader.git, ['rev-parse', `${commit}^{tree}`], where)),
    );
    if (known.length === 0) trees.push(EMPTY_TREE);
    if (trees.includes(files.tree)) return true;
    // Its submodules' empty folders are no work, nor is how a checkout writes the ends of lines.
    const plain = await this.reader.snapshot(tree, 'changes', signal);
    return trees.includes(plain.tree) && (await this.onlyFolders(where, trees[trees.indexOf(plain.tree)]!, files.tree));
  }

  /** Whether all that a rescue has besides is marks of empty folders, and other ends of lines. */
  private async onlyFolders(
    where: { gitDir: string; signal: AbortSignal },
    from: string,
    to: string,
  ): Promise<boolean> {
    const args = ['diff-tree', '-r', '--no-renames', '--name-only', '--diff-filter=A', '-z', from, to];
    const added = (await lineOf(this.reader.git, args, where)).split('\0').filter(Boolean);
    return added.every((path) => path === '%kandev' || path.endsWith('/%kandev'));
  }

  /** Commits that hang on the agent's refs and that no remote has. */
  private async foreign(
    where: { gitDir: string; signal: AbortSignal },
    { base_commit, pushed_commit }: WorkTree,
    refs: ReadonlyMap<string, string>,
  ): Promise<string[]> {
    const tips = [...new Set(refs.values())];
    if (tips.length === 0) return [];
    const known = [base_commit, pushed_commit].filter((commit) => commit !== null);
    const stdin = [...tips, ...known.map((commit) => `^${commit}`), ''].join('\n');
    const args = ['rev-list', '--stdin', '--not', '--glob=refs/remotes/origin', '--glob=refs/tags', '--not'];
    const unknown = new Set((await lineOf(this.reader.git, args, { ...where, stdin })).split('\n'));
    return tips.filter((tip) => unknown.has(tip));
  }
}

/**
 * What belongs to a server that is not root may still be closed to it: agents then have its account, and may have locked
 * what is theirs. This tool follows no links on its way; nobody works there any more.
 */
async function makeReadable(root: string, signal: AbortSignal): Promise<void> {
  if (process.getuid?.() === 0) return;
  await promisify(execFile)('chmod', ['-R', 'u+rX', '--', root], { signal }).catch(() => undefined); // what stays closed is named
}

function headOf({ head }: AgentRefs, refs: ReadonlyMap<string, string>): RescueNote['head'] {
  if (head === null || 'ref' in head) return head;
  return [...refs.values()].includes(head.commit) ? head : null;
}

/** All but what a fresh clone has by itself. */
function branchesOf(refs: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...refs].filter(([ref]) => ref !== 'HEAD' && !ref.startsWith('refs/remotes/')));
}
