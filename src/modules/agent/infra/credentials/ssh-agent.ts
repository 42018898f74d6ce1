import { stat } from 'node:fs/promises';
import type { CredentialSource } from './credential-source.js';
import type { Provided } from './provided.js';

/** Where the container has the way to the SSH agent. */
export const AGENT_FOLDER = '/run/kandev-ssh-agent';
export const AGENT_SOCKET = 'agent.sock';

/** The user's SSH agent, if one is there: the agent may sign with its keys and never sees them. */
export async function sshAgent({ agent_socket }: CredentialSource): Promise<Provided | null> {
  if (agent_socket === null || !(await isSocket(agent_socket))) return null;
  return {
    kind: 'ssh_agent',
    names: ['ssh-agent'],
    files: [],
    environment: { SSH_AUTH_SOCK: `${AGENT_FOLDER}/${AGENT_SOCKET}` },
    secrets: [],
    agent_socket,
  };
}

/** Whether a socket is there; who listens is another matter. */
export async function isSocket(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
}
