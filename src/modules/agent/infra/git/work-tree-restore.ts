import { chmod, copyFile, lchown, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { AgentUser } from '../../domain/container-runtime.js';
import type { TaskDisk } from '../../domain/task-disks.js';
import { needsChown } from '../agent-user.js';
import { removeTree } from '../files/remove-tree.js';
import { bytesOf, lineOf } from './git-bytes.js';
import { quoted } from './git-environment.js';
import { isRefName } from './agent-refs.js';
import { writeFiles } from './rescued-files.js';
import { taskRef } from './task-refs.js';
import type { WorkTreeReader } from './work-tree-reader.js';
import type { RescueNote } from './work-tree-rescue.js';

const SECONDS = 3_600;
/** Where rescued work is put together, on the task's disk beside the workspace; a kill may leave it. */
export const STAGING = '.restoring';

interface Source {
  task_id: string;
  repository_url: string | null;
  ref: string;
  base_commit: string | null;
}

/** Brings rescued work back: a new `.git` of ours with the agent's branches, and every file as it was. */
export class WorkTreeRestore {
  constructor(private readonly reader: WorkTreeReader) {}

  async restore(rescue: Source, disk: TaskDisk, user: AgentUser, signal: AbortSignal): Promise<void> {
    const gitDir = await this.reader.repositories.ensure(rescue.repository_url);
    const note = await this.note(gitDir, rescue, signal);
    const staging = join(disk.root, STAGING);
    await removeTree(staging); // of a restoring that was cut off
    await mkdir(staging, { mode: 0o755 });
    await this.makeRepository(gitDir, rescue, note, { staging, signal });
    await chownTree(staging, user);
    await writeFiles(this.reader.git, gitDir, rescue.ref, { staging, user, signal });
    await this.setBase(rescue, signal);
    await rename(staging, disk.workspace); // in one step, in the place of the empty one
  }

  /** What the task's workspace is compared with from now on, and what was given to it. */
  private async setBase({ task_id, repository_url, base_commit, ref }: Source, signal: AbortSignal): Promise<void> {
    const now = [`update ${taskRef(task_id, 'restored')} ${ref}\n`];
    if (base_commit !== null) now.push(`update ${taskRef(task_id, 'base')} ${base_commit}\n`);
    const set = ['update-ref', '--no-deref', '--stdin'];
    await this.reader.repositories.withRepository(
      repository_url,
      (gitDir) => lineOf(this.reader.git, set, { gitDir, signal, stdin: now.join('') }),
      signal,
    );
  }

  private async note(gitDir: string, { ref, base_commit }: Source, signal: AbortSignal): Promise<RescueNote> {
    const args = ['log', '-1', '--format=%b', '--end-of-options', ref];
    const text = (await bytesOf(this.reader.git, args, { gitDir, signal })).toString();
    const note = JSON.parse(text || '{}') as Partial<RescueNote>;
    const refs = Object.entries(note.refs ?? {}).filter(([name, sha]) => isRefName(name) && /^[0-9a-f]{40}$/.test(sha));
    return { version: 1, base_commit, head: note.head ?? null, refs: Object.fromEntries(refs) };
  }

  /** A repository like that of a clone: without any file of the agent's, so git may work in it once more. */
  private async makeRepository(
    ours: string,
    { repository_url }: Source,
    note: RescueNote,
    { staging, signal }: { staging: string; signal: AbortSignal },
  ): Promise<void> {
    const gitDir = join(staging, '.git');
    const { git } = this.reader;
    await lineOf(git, ['init', '--quiet', '--bare', '--template=', '--', gitDir], { signal });
    const config = [
      '[core]',
      '\trepositoryformatversion = 0',
      '\tfilemode = true',
      '\tbare = false',
      '\tlogallrefupdates = true',
    ];
    if (repository_url !== null) {
      const url = repository_url.replace(/^(\w+:\/\/)[^/@]*@/, '$1');
      config.push('[remote "origin"]', `\turl = "${quoted(url)}"`, '\tfetch = +refs/heads/*:refs/remotes/origin/*');
    }
    await writeFile(join(gitDir, 'config'), `${config.join('\n')}\n`);
    const detached = note.head && 'commit' in note.head ? note.head.commit : null;
    const tips = [...new Set([...Object.values(note.refs), detached, note.base_commit].filter((sha) => sha !== null))];
    if (tips.length > 0) {
      await copyFile(join(ours, 'shallow'), join(gitDir, 'shallow')).catch(() => undefined); // most have none
      await this.copyObjects(ours, gitDir, tips, signal);
    }
    const lines = Object.entries(note.refs).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const packed = lines.map(([name, sha]) => `${sha} ${name}\n`).join('');
    await writeFile(join(gitDir, 'packed-refs'), `# pack-refs with: sorted \n${packed}`);
    const head = headLine(note);
    if (head === null) return;
    await writeFile(join(gitDir, 'HEAD'), `${head.line}\n`);
    if (head.commit !== null) await git.run(['read-tree', head.commit], { gitDir, signal, timeoutSeconds: SECONDS });
  }

  private async copyObjects(from: string, to: string, tips: string[], signal: AbortSignal): Promise<void> {
    const pack = new PassThrough();
    const common = { signal, timeoutSeconds: SECONDS };
    const stdin = `${tips.join('\n')}\n`;
    const packing = ['pack-objects', '--revs', '--stdout', '--delta-base-offset', '-q'];
    const [written, read] = await Promise.all([
      this.reader.git.run(packing, { ...common, gitDir: from, stdin, stdout: pack }),
      this.reader.git.run(['index-pack', '--stdin'], { ...common, gitDir: to, stdin: pack }),
    ]);
    if (written.code !== 0 || read.code !== 0)
      throw new Error(`commits could not be copied: ${written.errors} ${read.errors}`);
  }
}

function headLine({ head, refs, base_commit }: RescueNote): { line: string; commit: string | null } | null {
  if (head === null) return base_commit === null ? null : { line: base_commit, commit: base_commit };
  if ('commit' in head) return /^[0-9a-f]{40}$/.test(head.commit) ? { line: head.commit, commit: head.commit } : null;
  return isRefName(head.ref) ? { line: `ref: ${head.ref}`, commit: refs[head.ref] ?? null } : null;
}

/** Gives what we have just made to the agent's user. */
async function chownTree(path: string, user: AgentUser): Promise<void> {
  await chmod(path, 0o755);
  if (!needsChown(user)) return;
  await lchown(path, user.uid, user.gid);
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true }))
    await lchown(join(entry.parentPath, entry.name), user.uid, user.gid);
}
