import { lstat } from 'node:fs/promises';
import type { AgentUser, CredentialFile } from '../../domain/container-runtime.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { AGENT_HOME, type GrantStore } from './grant-store.js';
import { mountPoint } from './mount-points.js';
import type { Provided } from './provided.js';
import { AGENT_FOLDER } from './ssh-agent.js';

/**
 * Makes the copies that an attempt gets; returns what is to be mounted.
 * @throws AttemptFailure `credentials.unavailable`
 */
export async function grantFiles(
  store: GrantStore,
  agentId: string,
  provided: readonly Provided[],
  user: AgentUser,
): Promise<CredentialFile[]> {
  if (provided.length > 0 && !canRead(user)) {
    throw new AttemptFailure(
      'credentials.unavailable',
      "The agent's user could not read its credentials: a server that is not root can't give files to another user " +
        '(KANDEV_AGENT_UID).',
    );
  }
  const files = provided.flatMap((one) => one.files);
  const mounts = await store.copy(agentId, files, user);
  const kinds = new Set(provided.map(({ kind }) => kind));
  if (kinds.has('ssh_agent')) mounts.push({ source: await store.folder(agentId, 'agent', user), target: AGENT_FOLDER });
  if (kinds.has('ssh_agent') || kinds.has('ssh_keys')) {
    // OpenSSH does nothing for a uid without a name, and looks for its files in the home that is named here.
    const agent = `agent:x:${user.uid}:${user.gid}:agent:${AGENT_HOME}:/bin/sh`;
    const content = `root:x:0:0:root:/root:/sbin/nologin\n${agent}\n`;
    mounts.push({ source: await store.publicFile(agentId, 'passwd', content, user), target: '/etc/passwd' });
  }
  return mounts;
}

/** Makes the places in the agent's home where the copies are mounted; no agent may be running there. */
export async function makeMountPoints(home: string, files: readonly CredentialFile[], user: AgentUser): Promise<void> {
  for (const { source, target } of files) {
    if (!target.startsWith(`${AGENT_HOME}/`)) continue;
    const kind = (await lstat(source)).isDirectory() ? 'folder' : 'file';
    await mountPoint(home, target.slice(AGENT_HOME.length + 1), kind, user);
  }
}

function canRead(user: AgentUser): boolean {
  const own = process.getuid?.() ?? 0;
  return own === 0 || own === user.uid;
}
