import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { ServerAddress } from '../../../common/ops/server-address.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { AgentUser, LaunchSpec } from '../domain/container-runtime.js';
import { AttemptFailure } from '../domain/outcome.js';
import { RunDirectories } from '../domain/run-directory.js';

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

  /** `task.json`: the same facts as in the environment. */
  taskFile(instance: AgentInstance, task: AttemptTask): object {
    const { title, description, repository_url, branch } = task;
    const { id: agent_id, run_id, task_id, attempt } = instance;
    return { task_id, agent_id, run_id, attempt, title, description, repository_url, branch, api_url: this.apiUrl() };
  }

  private contract(instance: AgentInstance, task: AttemptTask): Record<string, string> {
    return {
      KANDEV_TASK_ID: instance.task_id,
      KANDEV_AGENT_ID: instance.id,
      KANDEV_RUN_ID: instance.run_id,
      KANDEV_TASK_TITLE: task.title,
      KANDEV_TASK_DESCRIPTION: task.description,
      KANDEV_REPOSITORY_URL: task.repository_url ?? '',
      KANDEV_BRANCH: task.branch ?? '',
      KANDEV_API_URL: this.apiUrl(),
      KANDEV_ARTIFACTS_DIR:
        instance.runtime === 'docker' ? '/run/kandev/artifacts' : `${this.runDirectories.path(instance.id)}/artifacts`,
      KANDEV_RUN_DIR: instance.runtime === 'docker' ? '/run/kandev' : this.runDirectories.path(instance.id),
    };
  }

  /** `${NAME}` becomes the host's variable, where the allow-list has it. */
  private resolve(variables: Record<string, string>): Record<string, string> {
    const allowed = new Set(this.config.agent.env_allowlist);
    const value = (name: string): string => {
      const found = allowed.has(name) ? this.config.host_environment[name] : undefined;
      if (found) return found;
      const why = allowed.has(name) ? 'is not set on the server' : 'is not in KANDEV_ENV_ALLOWLIST';
      throw new AttemptFailure('agent.environment', `The agent type asks for the variable ${name}, which ${why}.`);
    };
    return Object.fromEntries(
      Object.entries(variables).map(([name, text]) => [
        name,
        text.replaceAll(/\$\{(\w+)\}/g, (_, asked: string) => value(asked)),
      ]),
    );
  }

  private apiUrl(): string {
    return `${this.address.url}/api/v1`;
  }
}
