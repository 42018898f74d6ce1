import { join } from 'node:path';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { AuditLog } from '../../../../common/audit/audit-log.js';
import { SYSTEM } from '../../../../common/auth/actor.js';
import { AgentKeys } from '../../../../common/auth/agent-keys.js';
import { forgetInLogs, hideInLogs } from '../../../../common/ops/log-secrets.js';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import type { CredentialMount } from '../../contracts/agent.types.js';
import type { AgentInstance } from '../../domain/agent-instance.entity.js';
import type { AgentUser } from '../../domain/container-runtime.js';
import { Credentials, type GitCredentials, type GitUse, type Granted } from '../../domain/credentials.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { Redactor } from '../../domain/redaction.js';
import { MIN_SECRET_LENGTH } from '../../domain/secret-forms.js';
import { CredentialSources, type CredentialSource } from './credential-source.js';
import { environmentFile } from './environment-file.js';
import { gitAccess } from './git-access.js';
import { gitCredentials } from './git-credentials.js';
import { gitconfig } from './gitconfig.js';
import { grantFiles, makeMountPoints } from './grant-files.js';
import { GrantStore, type Grant } from './grant-store.js';
import { grantVariables } from './grant-variables.js';
import type { Provided, Provider } from './provided.js';
import { sshAgent } from './ssh-agent.js';
import { SshAgentRelay } from './ssh-agent-relay.js';
import { sshKeys } from './ssh-keys.js';

const PROVIDERS: Record<CredentialMount, Provider> = {
  ssh_keys: sshKeys,
  gitconfig,
  git_credentials: gitCredentials,
  ssh_agent: sshAgent,
};
const KINDS = Object.keys(PROVIDERS) as CredentialMount[];
const NONE: readonly string[] = [];

/** {@link Credentials} of folders on this host. */
@Injectable()
export class HostCredentials extends Credentials {
  private readonly logger = new Logger('Credentials');
  private readonly store: GrantStore;
  private readonly relays = new Map<string, SshAgentRelay>();
  /** Of the attempts that this server looks after. */
  private readonly secrets = new Map<string, readonly string[]>();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly sources: CredentialSources,
    private readonly keys: AgentKeys,
    private readonly audit: AuditLog,
  ) {
    super();
    this.store = new GrantStore(join(config.home, 'granted'));
  }

  async grant(instance: AgentInstance, user: AgentUser, home: string | Promise<string>): Promise<Granted> {
    const grant = (await this.store.read(instance.id)) ?? (await this.make(instance, user));
    this.hide(instance.id, grant.granted.secrets); // from here on nothing shows them
    await makeMountPoints(await home, grant.granted.files, user);
    await this.relay(instance.id, grant).catch((error: unknown) => {
      this.logger.warn({ err: error, agent_id: instance.id }, 'the way to the SSH agent could not be opened');
      throw new AttemptFailure('credentials.unavailable', 'The way to the SSH agent could not be opened.');
    });
    return grant.granted;
  }

  async secretsOf(agentId: string): Promise<readonly string[]> {
    const known = this.secrets.get(agentId);
    if (known) return known;
    const secrets = (await this.store.read(agentId))?.granted.secrets;
    if (secrets) return this.hide(agentId, secrets);
    // A folder without a whole record: being made, or what a power cut has left, of which `reopen` knows more.
    return (await this.store.isThere(agentId)) ? [this.keys.of(agentId)] : NONE;
  }

  private hide(agentId: string, secrets: readonly string[]): readonly string[] {
    const known = this.secrets.get(agentId);
    if (known) return known;
    this.secrets.set(agentId, secrets);
    const redactor = Redactor.of(secrets);
    hideInLogs(agentId, (line) => redactor.line(line));
    return secrets;
  }

  async reopen({ id: agentId, requested_by }: AgentInstance): Promise<void> {
    const grant = await this.store.read(agentId);
    if (!grant) {
      if (this.secrets.has(agentId)) return;
      this.logger.error({ agent_id: agentId }, 'nobody can tell what an agent was given: all of its user is hidden');
      const known = await this.knownSecrets([requested_by ?? null]);
      this.hide(agentId, usable([this.keys.of(agentId), ...known]));
      return;
    }
    this.hide(agentId, grant.granted.secrets);
    // Without it the agent can't sign, which it is told; that is no reason to leave its output unread.
    await this.relay(agentId, grant).catch((error: unknown) =>
      this.logger.warn({ err: error, agent_id: agentId }, 'the way to the SSH agent could not be opened again'),
    );
  }

  async letGo(agentId: string): Promise<void> {
    const relay = this.relays.get(agentId);
    this.relays.delete(agentId);
    this.secrets.delete(agentId);
    forgetInLogs(agentId);
    await relay?.close();
  }

  async revoke(agentId: string): Promise<void> {
    await this.letGo(agentId);
    await this.store.remove(agentId);
  }

  list(): Promise<string[]> {
    return this.store.list();
  }

  async knownSecrets(userIds: readonly (string | null)[]): Promise<string[]> {
    const { agent, host_environment } = this.config;
    const secrets = agent.env_allowlist.map((name) => host_environment[name] ?? '');
    for (const userId of new Set(userIds)) {
      const source = await this.sources.of(userId);
      if (!source) continue;
      const provided = await provide(KINDS, source);
      const variables = source.from === 'user' ? (await environmentFile(source.folder)).values() : NONE;
      const git = (await this.forGit(userId)).secrets;
      secrets.push(...provided.flatMap((one) => one.secrets), ...variables, ...git);
    }
    return usable(secrets);
  }

  async forGit(userId: string | null, use?: GitUse): Promise<GitCredentials> {
    const source = await this.sources.of(userId);
    const environment = this.config.host_environment;
    const server = { environment, hostsFolder: join(this.config.home, 'git', 'known-hosts') };
    const { used, ...access } = await gitAccess(source, server, userId ?? 'server');
    if (use && source && used.length > 0) {
      await this.audit.record({
        action: 'credential.used',
        actor: userId === null ? SYSTEM : { user_id: userId, role: 'member' }, // the log keeps the user, not the role
        subject: { type: 'task', id: use.task_id },
        data: { git: use.action, from: source.from, used },
      });
    }
    return access;
  }

  private async make(instance: AgentInstance, user: AgentUser): Promise<Grant> {
    const { id, runtime, requested_by } = instance;
    const source = await this.sources.of(requested_by ?? null);
    const variables = await grantVariables(instance.environment_vars ?? {}, source, this.config);
    const asked = [...new Set(instance.mounts)];
    // A process has no mounts: it gets its variables alone.
    const provided = source && runtime === 'docker' ? await provide(asked, source) : [];
    await this.store.begin(id);
    const files = await grantFiles(this.store, id, provided, user);
    const secrets = [this.keys.of(id), ...variables.secrets, ...provided.flatMap((one) => one.secrets)];
    const from = source?.from ?? 'server';
    const grant: Grant = {
      granted: {
        files,
        environment: environmentOf(provided, variables.environment),
        secrets: usable(secrets),
        granted: [...variables.granted, ...provided.map(({ kind, names }) => ({ kind, names, from }))],
        missing: asked.filter((kind) => !provided.some((one) => one.kind === kind)),
      },
      agent_socket: provided.find(({ agent_socket }) => agent_socket !== undefined)?.agent_socket ?? null,
      user,
    };
    await this.store.finish(id, grant);
    return grant;
  }

  private async relay(agentId: string, { agent_socket, user }: Grant): Promise<void> {
    if (agent_socket === null || this.relays.has(agentId)) return;
    const folder = await this.store.folder(agentId, 'agent', user);
    this.relays.set(agentId, await SshAgentRelay.open(folder, agent_socket, user));
  }
}

/** Shorter ones stand in every text. */
function usable(secrets: readonly string[]): string[] {
  return [...new Set(secrets)].filter((secret) => secret.length >= MIN_SECRET_LENGTH);
}

async function provide(kinds: readonly CredentialMount[], source: CredentialSource): Promise<Provided[]> {
  const provided = await Promise.all(kinds.map((kind) => PROVIDERS[kind](source)));
  return provided.filter((one) => one !== null);
}

/** An agent type with settings of its own for git has those alone: they are counted. */
function environmentOf(provided: readonly Provided[], own: Record<string, string>): Record<string, string> {
  const ours = provided
    .flatMap(({ environment }) => Object.entries(environment))
    .filter(([name]) => !('GIT_CONFIG_COUNT' in own) || !name.startsWith('GIT_CONFIG_'));
  return { ...Object.fromEntries(ours), ...own };
}
