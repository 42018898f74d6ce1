import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable, Inject, Logger } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { FindSoleUserQuery } from '../../../identity/contracts/user.queries.js';
import { CredentialFolder } from './private-file.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const OTHERS_MAY_WRITE = 0o022;

/** Where the credentials of a user come from. */
export interface CredentialSource {
  /** `user`: a folder of their own; `server`: the home of the server's own account. */
  from: 'user' | 'server';
  folder: CredentialFolder;
  /** Socket of an SSH agent that may be there; null where none is named. */
  agent_socket: string | null;
}

/**
 * Finds what is a user's: `KANDEV_HOME/credentials/{user_id}`, where it is there; else the server's own home, but only
 * for the one user of a server that has one. What a system asked for is the server's, by the same rule.
 */
@Injectable()
export class CredentialSources {
  private readonly logger = new Logger('Credentials');

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly queries: QueryBus,
  ) {}

  /** Null: there is nothing for them. */
  async of(userId: string | null): Promise<CredentialSource | null> {
    const own = userId === null ? null : await this.ownFolder(userId);
    if (own !== null) {
      const folder = own.path === undefined ? undefined : this.folder(own.path);
      return folder ? { from: 'user', folder, agent_socket: join(folder.path, 'ssh-agent.sock') } : null;
    }
    const { HOME, SSH_AUTH_SOCK } = this.config.host_environment;
    if (!HOME || !(await this.mayUseServers(userId))) return null;
    return { from: 'server', folder: this.folder(HOME), agent_socket: SSH_AUTH_SOCK || null };
  }

  /** Null: the user has none. Without a path: it is there, and not safe to use; that is never a reason to fall back. */
  private async ownFolder(userId: string): Promise<{ path?: string } | null> {
    if (!UUID.test(userId)) throw new Error('not a user id'); // it becomes a path
    const path = join(this.config.home, 'credentials', userId);
    const found = await lstat(path).catch(() => null);
    if (!found) return null;
    if (found.isDirectory() && (found.mode & OTHERS_MAY_WRITE) === 0) return { path };
    this.logger.warn(`credentials/${userId} is not used: it has to be a folder that others can't change; chmod 700`);
    return {};
  }

  private async mayUseServers(userId: string | null): Promise<boolean> {
    if (this.config.credentials.host !== 'single-user') return false;
    const sole = await this.queries.execute(new FindSoleUserQuery());
    return sole !== null && (userId === null || userId === sole);
  }

  private folder(path: string): CredentialFolder {
    return new CredentialFolder(path, (name, why) =>
      this.logger.warn(`The file ${name} in ${path} is not used: ${why}.`),
    );
  }
}
