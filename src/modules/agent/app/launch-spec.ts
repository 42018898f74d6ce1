import { Inject, Injectable } from '@nestjs/common';
import { AgentKeys } from '../../../common/auth/agent-keys.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { ServerAddress } from '../../../common/ops/server-address.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { AgentUser, LaunchSpec } from '../domain/container-runtime.js';
import { AttemptFailure } from '../domain/outcome.js';
import { hostVariables, resolveVariables } from '../domain/environment.js';
import { RunDirectories, type AgentBriefing } from '../domain/run-directory.js';

/** Injection token of the {@link AgentUser}. */
export const AGENT_USER = Symbol('AgentUser');

/** Puts together what an agent is started with. */
@Injectable()
export class LaunchSpecs {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(AGENT_USER) readonly user: AgentUser,
    private readonly runDirectories: RunDirectories,
    private readonly address: ServerAddress,
    private readonly keys: AgentKeys,
  ) {}

  /** @throws AttemptFailure `agent.environment` when the host does not have a variable that the agent type asks for */
  make(instance: AgentInstance, task: AttemptTask, workspace: string): LaunchSpec {
    const { id: agent_id, run_id, task_id, image_name } = instance;
    return {
      ...{ agent_id, run_id, task_id, image_name },
      image_id: instance.image_id ?? null,
      command: instance.command ?? null,
      environment: { ...this.contract(instance, task), ...this.resolve(instance.environment_vars ?? {}) },
      limits: instance.resource_limits ?? {},
      workspace_directory: workspace,
      run_directory: this.runDirectories.path(agent_id),
      user: this.user,
    };
  }

  /** `task.json` says the same as the environment; the key is the same however often it is asked for. */
  briefing(instance: AgentInstance, task: AttemptTask): AgentBriefing {
    const { title, description, repository_url, branch } = task;
    const { id: agent_id, run_id, task_id, attempt } = instance;
    const api_url = this.apiUrl(instance);
    return {
      task: {
        ...{ task_id, agent_id, run_id, attempt, title, description, repository_url, branch },
        ...(api_url === undefined ? {} : { api_url }),
      },
      api_key: this.keys.of(agent_id),
    };
  }

  /** Names of the host's variables that an agent with this environment is given: asked for, allowed, and set. */
  grantedVariables(environment: Record<string, string> | null | undefined): string[] {
    return hostVariables(environment ?? {}).filter((name) => this.hostValue(name) !== undefined);
  }

  private contract(instance: AgentInstance, task: AttemptTask): Record<string, string> {
    const api_url = this.apiUrl(instance);
    return {
      KANDEV_TASK_ID: instance.task_id,
      KANDEV_AGENT_ID: instance.id,
      KANDEV_RUN_ID: instance.run_id,
      KANDEV_TASK_TITLE: task.title,
      KANDEV_TASK_DESCRIPTION: task.description,
      KANDEV_REPOSITORY_URL: task.repository_url ?? '',
      KANDEV_BRANCH: task.branch ?? '',
      ...(api_url === undefined ? {} : { KANDEV_API_URL: api_url }),
      KANDEV_ARTIFACTS_DIR:
        instance.runtime === 'docker' ? '/run/kandev/artifacts' : `${this.runDirectories.path(instance.id)}/artifacts`,
      KANDEV_RUN_DIR: instance.runtime === 'docker' ? '/run/kandev' : this.runDirectories.path(instance.id),
    };
  }

  /** `${NAME}` becomes the host's variable, where the allow-list has it. */
  private resolve(variables: Record<string, string>): Record<string, string> {
    return resolveVariables(variables, (name) => {
      const value = this.hostValue(name);
      if (value !== undefined) return value;
      const allowed = this.config.agent.env_allowlist.includes(name);
      const why = allowed ? 'is not set on the server' : 'is not in KANDEV_ENV_ALLOWLIST';
      throw new AttemptFailure('agent.environment', `The agent type asks for the variable ${name}, which ${why}.`);
    });
  }

  private hostValue(name: string): string | undefined {
    return (this.config.agent.env_allowlist.includes(name) && this.config.host_environment[name]) || undefined;
  }

  /** Where the agent reaches the server; undefined where it can't: containers have no network. */
  private apiUrl({ runtime }: AgentInstance): string | undefined {
    if (runtime === 'docker') return undefined;
    // An address that stands for all of them is none to connect to, on some systems.
    const url = this.address.url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
    return `${url}/api/v1`;
  }
}
