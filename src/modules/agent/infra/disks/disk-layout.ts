import { chmod, lchown, lstat, mkdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentUser } from '../../domain/container-runtime.js';
import type { TaskDisk } from '../../domain/task-disks.js';
import { needsChown } from '../agent-user.js';
import { isEmptyFolder } from '../files/empty-folder.js';
import { runTool, tryTool } from './host-tool.js';

/**
 * The folder of a disk is ours alone: the agent reaches what is mounted from it and nothing beside. The sticky bit is
 * our sign: a checkout, which lay here directly once, never has it.
 */
const OURS = 0o1700;
const STICKY = 0o1000;
/** As a `/tmp` has to be: programs look at it. Others don't get past the folder above. */
const TMP_MODE = 0o1777;
/** A checkout that was found in the place of the disk, on its way into it. */
const MOVED = '.moved';
const PARTIAL = '.partial';
/** What a kill may leave beside a disk's folder; the next call goes on with it. */
export const LEFTOVERS = [MOVED, PARTIAL];

/** Where the parts of a disk lie, by its folder. */
export function diskAt(root: string): TaskDisk {
  return { root, workspace: join(root, 'workspace'), home: join(root, 'home'), tmp: join(root, 'tmp') };
}

/** What is at the path of a disk: nothing, a checkout of the time before disks, or a disk's folder. */
export async function found(root: string): Promise<'nothing' | 'checkout' | 'disk'> {
  const stats = await lstat(root).catch(() => undefined);
  if (!stats?.isDirectory()) return 'nothing';
  return (stats.mode & STICKY) === 0 ? 'checkout' : 'disk';
}

/**
 * Makes the folder of a disk, appearing in one step; a checkout that is in its place becomes its workspace. A kill at
 * any point leaves what the next call goes on with: each step is a rename, and looks first where the last call got to.
 */
export async function makeFolder(root: string): Promise<void> {
  const moved = `${root}${MOVED}`;
  const partial = `${root}${PARTIAL}`;
  const there = await found(root);
  if (there === 'disk') return;
  if (there === 'checkout') await rename(root, moved);
  await mkdir(partial, { recursive: true, mode: 0o700 });
  if ((await found(moved)) !== 'nothing') {
    await rmdir(join(partial, 'workspace')).catch(() => undefined); // an empty one; another is never overwritten
    await rename(moved, join(partial, 'workspace'));
  }
  await chmod(partial, OURS);
  await rename(partial, root);
}

/** Puts the parts in place: an empty `tmp`, a home and a workspace of the agent's user. */
export async function furnish(disk: TaskDisk, user: AgentUser): Promise<void> {
  await chmod(disk.root, OURS);
  await empty(disk.tmp);
  for (const [path, mode] of [
    [disk.workspace, 0o755],
    [disk.home, 0o700],
    [disk.tmp, TMP_MODE],
  ] as const) {
    const made = await mkdir(path, { mode }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (made) await chmod(path, mode); // whatever the umask says
    if (needsChown(user)) await lchown(path, user.uid, user.gid);
  }
}

/**
 * Empties a folder that an agent has filled, whatever the names and however deep. The folder itself stays: a container
 * that waits at its gate has it mounted.
 */
async function empty(folder: string): Promise<void> {
  if (await isEmptyFolder(folder).catch(() => true)) return;
  const remove = [folder, '-xdev', '-mindepth', '1', '-delete'];
  if ((await tryTool('find', remove)).code === 0) return;
  await tryTool('chmod', ['-R', 'u+rwX', '--', folder]); // folders that their owner has locked
  await runTool('find', remove);
}
