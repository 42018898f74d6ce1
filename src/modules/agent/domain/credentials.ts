import type { AgentInstance } from './agent-instance.entity.js';
import type { AgentUser, CredentialFile } from './container-runtime.js';

/** What one attempt was given. */
export interface Granted {
  /** Files, and folders of files, to be mounted read-only. */
  files: CredentialFile[];
  environment: Record<string, string>;
  /** What of it may never be stored or shown. On this host alone: in memory, and beside the copies. */
  secrets: string[];
  /** For the audit log and the stream: kinds and names, no values, and whose they are. */
  granted: { kind: string; names: string[]; from: 'user' | 'server' }[];
  /** Kinds that were asked for and that there is nothing of. */
  missing: string[];
}

/** What git on the host works with on behalf of a user. */
export interface GitCredentials {
  /**
   * To be added to git's environment: `GIT_SSH_COMMAND`, the tokens' variables, and configuration as
   * `GIT_CONFIG_COUNT`, `GIT_CONFIG_KEY_n` and `GIT_CONFIG_VALUE_n`. Whoever has such lines too counts on from there.
   */
  environment: Record<string, string>;
  /** To be kept out of what git says. */
  secrets: string[];
}

/** What git is to do with them, for the audit log. */
export interface GitUse {
  task_id: string;
  action: 'clone' | 'fetch' | 'push';
}

/**
 * Credentials of the user who asked for the run, or of the server's own home while there is one user only. Files are
 * copied for the agent's user and mounted read-only; nothing of it reaches the database.
 */
export abstract class Credentials {
  /**
   * Gives the attempt what its agent type asks for; again: the same, whatever has changed meanwhile. The audit log
   * hears of every grant once. `home` is the host's folder that becomes the agent's home, while no agent runs there:
   * places for the mounts are made in it.
   * @throws AttemptFailure `agent.environment`, `credentials.unavailable`
   */
  abstract grant(instance: AgentInstance, user: AgentUser, home: string | Promise<string>): Promise<Granted>;

  /**
   * The secrets that an attempt was given, after a restart too; empty where there are none. The same array each time,
   * as long as they are the same.
   */
  abstract secretsOf(agentId: string): Promise<readonly string[]>;

  /**
   * After a restart: what lives in this process for an agent that was launched (its secrets, the way to an SSH agent).
   * Again: nothing. Where nobody can tell what it was given, all that it may have been given counts as secret.
   */
  abstract reopen(instance: AgentInstance): Promise<void>;

  /** The server lets go of the attempt, the agent lives on: ends what lives in this process. */
  abstract letGo(agentId: string): Promise<void>;

  /** Ends it and removes the copies; absent is fine. */
  abstract revoke(agentId: string): Promise<void>;

  /** Agents with copies on this host. */
  abstract list(): Promise<string[]>;

  /**
   * Everything secret that these users' sources hold now, whatever an agent was given of it, and the values of the
   * server's variables that agent types may ask for. Null stands for runs that nobody asked for.
   */
  abstract knownSecrets(userIds: readonly (string | null)[]): Promise<string[]>;

  /** What git on the host may use on behalf of a user. With `use` the audit log hears of it: ask once for each clone. */
  abstract forGit(userId: string | null, use?: GitUse): Promise<GitCredentials>;
}
