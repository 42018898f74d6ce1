import type { Author, Committed, WorkTree } from '../../domain/work-trees.js';
import { headCommit } from './agent-refs.js';
import type { GitOptions } from './git.js';
import { isTrue, lineOf } from './git-bytes.js';
import { taskRef } from './task-refs.js';
import { EMPTY_TREE, type WorkTreeReader } from './work-tree-reader.js';

type Where = Pick<GitOptions, 'gitDir' | 'signal'> & { gitDir: string };

/** Who commits are written by; authors are people. */
export const COMMITTER = { GIT_COMMITTER_NAME: 'Kandev', GIT_COMMITTER_EMAIL: 'kandev@localhost' };

/** Commits of people on a task's own branch, made in our repository from what lies in the workspace. */
export class WorkTreeCommit {
  constructor(private readonly reader: WorkTreeReader) {}

  async commit(
    tree: WorkTree,
    by: { author: Author; message: string; branch: string; confirm?: () => Promise<void> },
    signal: AbortSignal,
  ): Promise<Committed> {
    const { agent, refs, gitDir, left_out } = await this.reader.agentCommits(tree, signal);
    const { branch_commit, base_commit } = await this.reader.known(tree, signal);
    const claimed = headCommit(agent);
    const theirs = claimed !== null && [...refs.values()].includes(claimed) ? claimed : null;
    const where = { gitDir, signal };
    const files = await this.reader.snapshot(tree, 'changes', signal, theirs === null ? [] : [theirs]);
    const ours = branch_commit ?? base_commit;
    const parents = await this.parents(where, ours, theirs);
    const commit = await this.write(where, files.tree, parents, by);
    const all = { left_out: [...left_out, ...files.left_out] };
    if (commit === ours || (commit === null && ours === null))
      return { committed: false, commit: branch_commit, ...all };
    if (commit === null) return { committed: false, commit: null, ...all };
    await by.confirm?.();
    const set = ['update-ref', '--no-deref', '-m', 'commit', taskRef(tree.task_id, 'head'), commit];
    await this.reader.repositories.withRepository(
      tree.repository_url,
      () => lineOf(this.reader.git, set, where),
      signal,
    );
    return { committed: true, commit, ...all };
  }

  /** The tip that is ahead of the other; both, where neither is. */
  private async parents(where: Where, ours: string | null, theirs: string | null): Promise<string[]> {
    if (theirs === null || theirs === ours) return ours === null ? [] : [ours];
    if (ours === null || (await this.isAncestor(where, ours, theirs))) return [theirs];
    return (await this.isAncestor(where, theirs, ours)) ? [ours] : [ours, theirs];
  }

  private isAncestor(where: Where, older: string, newer: string): Promise<boolean> {
    return isTrue(this.reader.git, ['merge-base', '--is-ancestor', older, newer], where);
  }

  /** The parent itself where nothing is new; null where there is nothing at all. */
  private async write(
    where: Where,
    tree: string,
    parents: string[],
    { author, message }: { author: Author; message: string },
  ): Promise<string | null> {
    const [only] = parents;
    const before =
      only === undefined ? EMPTY_TREE : await lineOf(this.reader.git, ['rev-parse', `${only}^{tree}`], where);
    if (parents.length < 2 && before === tree) return only ?? null;
    const args = ['commit-tree', ...parents.flatMap((parent) => ['-p', parent]), tree];
    return lineOf(this.reader.git, args, {
      ...where,
      stdin: `${message.trim()}\n`,
      env: { ...COMMITTER, GIT_AUTHOR_NAME: plain(author.name), GIT_AUTHOR_EMAIL: plain(author.email) },
    });
  }
}

/** As git writes names and addresses: without what would end them. */
function plain(text: string): string {
  return text.replaceAll(/[<>\n\0\r]/g, '').trim() || 'unknown';
}
