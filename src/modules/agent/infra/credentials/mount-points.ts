import { lchown, lstat, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentUser } from '../../domain/container-runtime.js';
import { needsChown } from '../agent-user.js';
import { removeTree } from '../files/remove-tree.js';

/**
 * Makes a place in the agent's home where something can be mounted: a folder or an empty file of the agent's own. An
 * engine would make it as root's and leave it behind. What an earlier run has there stays and shows again when nothing
 * is mounted; a link, or something of another kind, goes: a mount would follow it, or fail. No agent may be running.
 */
export async function mountPoint(home: string, name: string, kind: 'folder' | 'file', user: AgentUser): Promise<void> {
  const path = join(home, name);
  const found = await lstat(path).catch(() => null);
  if (found && (kind === 'folder' ? found.isDirectory() : found.isFile() && found.nlink === 1)) return;
  if (found) await removeTree(path);
  if (kind === 'folder') await mkdir(path, { mode: 0o700 });
  else await (await open(path, 'wx', 0o600)).close();
  if (needsChown(user)) await lchown(path, user.uid, user.gid);
}
