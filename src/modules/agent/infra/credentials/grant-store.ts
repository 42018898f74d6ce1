import { lchown, lstat, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { AgentUser, CredentialFile } from '../../domain/container-runtime.js';
import type { Granted } from '../../domain/credentials.js';
import { needsChown } from '../agent-user.js';
import { removeTree } from '../files/remove-tree.js';
import type { ProvidedFile } from './provided.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The agent's home, in its container. */
export const AGENT_HOME = '/home/agent';
const RECORD = 'grant.json';

/** What an attempt was given, with what is needed to give it again. */
export interface Grant {
  granted: Granted;
  /** What its SSH agent's relay leads to; null where it has none. */
  agent_socket: string | null;
  user: AgentUser;
}

/**
 * The copies of each attempt, below `KANDEV_HOME/granted/{agent_id}`: a folder that nobody else can look into, with
 * files that the agent's user may read and nobody may write. The record is written last: a folder without one is made anew.
 */
export class GrantStore {
  constructor(private readonly root: string) {}

  /** The folder of an attempt, whether it is there or not. */
  path(agentId: string): string {
    if (!UUID.test(agentId)) throw new Error('not an agent id'); // it becomes a path
    return join(this.root, agentId);
  }

  /** Whether there is a folder for the attempt, whole or not. */
  async isThere(agentId: string): Promise<boolean> {
    return lstat(this.path(agentId)).then(
      () => true,
      () => false,
    );
  }

  /** What was given before, or null. */
  async read(agentId: string): Promise<Grant | null> {
    const text = await readFile(join(this.path(agentId), RECORD), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    return text === null ? null : wholeGrant(text);
  }

  /** An empty folder for the attempt; what a crash has left of an unfinished grant goes. */
  async begin(agentId: string): Promise<string> {
    const path = this.path(agentId);
    await removeTree(path);
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Copies the files; returns what is to be mounted: each file, or the folder that it lies in. */
  async copy(agentId: string, files: readonly ProvidedFile[], user: AgentUser): Promise<CredentialFile[]> {
    const mounts = new Map<string, CredentialFile>();
    for (const { path, content } of files) {
      const folder = dirname(path);
      const copy = join(this.path(agentId), path);
      if (folder !== '.') await this.folder(agentId, folder, user);
      await writeFile(copy, content, { mode: 0o400, flag: 'wx' });
      await give(copy, user);
      const mounted = folder === '.' ? path : folder;
      mounts.set(mounted, { source: join(this.path(agentId), mounted), target: join(AGENT_HOME, mounted) });
    }
    return [...mounts.values()];
  }

  /** A folder beside the copies that the agent's user may enter. */
  async folder(agentId: string, name: string, user: AgentUser): Promise<string> {
    const path = join(this.path(agentId), basename(name));
    await mkdir(path, { recursive: true, mode: 0o700 });
    await give(path, user);
    return path;
  }

  /** A file beside the copies that everybody in the container may read. */
  async publicFile(agentId: string, name: string, content: string, user: AgentUser): Promise<string> {
    const path = join(this.path(agentId), name);
    await writeFile(path, content, { mode: 0o444, flag: 'wx' });
    await give(path, user);
    return path;
  }

  /** The grant is whole. What a power cut leaves of the record is none, see {@link wholeGrant}: nobody waits for the disk. */
  async finish(agentId: string, grant: Grant): Promise<void> {
    const path = join(this.path(agentId), RECORD);
    await writeFile(`${path}.new`, JSON.stringify(grant), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  /** Absent is fine. */
  async remove(agentId: string): Promise<void> {
    await removeTree(this.path(agentId));
  }

  /** Agents with a folder. */
  async list(): Promise<string[]> {
    return (await readdir(this.root).catch(() => [])).filter((name) => UUID.test(name));
  }
}

/** Null for what a power cut has left of a record, empty or cut off: an object's text is whole only with its last brace. */
function wholeGrant(text: string): Grant | null {
  try {
    return JSON.parse(text) as Grant;
  } catch {
    return null;
  }
}

async function give(path: string, user: AgentUser): Promise<void> {
  if (needsChown(user)) await lchown(path, user.uid, user.gid);
}
