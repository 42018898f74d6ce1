import { AttemptFailure } from './outcome.js';

/** What a server allows to be cloned. */
export interface RepositoryPolicy {
  allow_local_repositories: boolean;
}

const REMOTE = /^(https?|ssh|git):\/\/[^\s]+$/i;
const SCP_LIKE = /^[\w.-]+@[\w.-]+:[^\s]+$/;
const LOCAL = /^(file:\/\/)?\//;

/**
 * Refuses an address that git would take for something else than a repository: an option, a transport that runs a
 * command, a path of this machine where those are not allowed.
 * @throws AttemptFailure `workspace.repository_refused`
 */
export function checkRepositoryAddress(url: string, policy: RepositoryPolicy): void {
  const refuse = (why: string): never => {
    throw new AttemptFailure('workspace.repository_refused', `The repository address is refused: ${why}.`);
  };
  if (url.startsWith('-') || /[\0-\x1f\x7f]/.test(url)) refuse('it is not an address');
  if (LOCAL.test(url)) {
    if (!policy.allow_local_repositories)
      refuse('this server does not clone from paths of its own machine (KANDEV_ALLOW_LOCAL_REPOSITORIES)');
    return;
  }
  if (!REMOTE.test(url) && !SCP_LIKE.test(url)) refuse('use https://, ssh://, git:// or user@host:path');
}

/** Refuses a branch that git would take for an option or that no branch can be called. */
export function checkBranch(branch: string): void {
  if (branch.startsWith('-') || /[\0-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\.lock$|\/$|\.$/.test(branch)) {
    throw new AttemptFailure('workspace.repository_refused', 'The branch is refused: no branch can have this name.');
  }
}
