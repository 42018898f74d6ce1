import { Inject, Injectable } from '@nestjs/common';
import { AgentKeys } from '../../../common/auth/agent-keys.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { ServerAddress } from '../../../common/ops/server-address.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { AgentUser, LaunchSpec } from '../domain/container-runtime.js';
import type { Granted } from '../domain/credentials.js';
import { GATEWAY_API_URL, gatewayEnvironment } from '../domain/gateway-environment.js';
import { maxFileBytes } from '../domain/max-file-bytes.js';
import type { TaskDisk } from '../domain/task-disks.js';
import { RunDirectories, type AgentBriefing } from '../domain/run-directory.js';

/** Injection token of the {@link AgentUser}. */
export const AGENT_USER = Symbol('AgentUser');

/** What was made for the agent on this host. */
export interface LaunchSupplies {
  disk: TaskDisk;
  gateway_directory: string | null;
  granted: Granted;
}

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

  make(instance: AgentInstance, task: AttemptTask, supplied: LaunchSupplies): LaunchSpec {
    const { disk, gateway_directory, granted } = supplied;
    const { id: agent_id, run_id, task_id, image_name } = instance;
    const limits = instance.resource_limits ?? {};
    return {
      ...{ agent_id, run_id, task_id, image_name },
      image_id: instance.image_id ?? null,
      command: instance.command ?? null,
      environment: {
        ...this.contract(instance, task),
        ...(gateway_directory === null ? {} : gatewayEnvironment()),
        ...granted.environment,
      },
      limits,
      max_file_bytes: maxFileBytes(limits, this.config.agent.max_output_bytes),
      ...{ workspace_directory: disk.workspace, home_directory: disk.home, tmp_directory: disk.tmp },
      run_directory: this.runDirectories.path(agent_id),
      network: instance.network,
      gateway_directory,
      credentials: granted.files,
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

  /** Where the agent reaches the server: through its gateway, or, a process, directly; undefined where it can't. */
  private apiUrl({ runtime, network }: AgentInstance): string | undefined {
    if (runtime === 'docker') return network === 'none' || network === 'open' ? undefined : GATEWAY_API_URL;
    // An address that stands for all of them is none to connect to, on some systems.
    const url = this.address.url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
    return `${url}/api/v1`;
  }
}
