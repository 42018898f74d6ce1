import { expect } from 'vitest';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import type { ApiClient } from './api-client.js';
import { noContainerLeft } from './containers.js';
import { heard, listenOverSocketIo } from './listeners.js';
import { TestServer } from './server.js';
import { until } from './until.js';

/** What makes an agent: fields of an agent type, and of the task that it is to do. */
export interface AgentRecipe {
  command?: string[] | null;
  docker_image?: string;
  docker_tag?: string;
  runtime?: 'docker' | 'process';
  protocol?: 'json-lines' | 'agent-client-protocol';
  environment_vars?: Record<string, string>;
  default_resources?: { cpu_limit?: string; memory_limit?: string; disk_limit?: string };
  mounts?: string[];
  network?: 'none' | 'isolated' | 'allowlist' | 'open';
  allowed_hosts?: string[];
  host_labels?: string[];
  inactivity_timeout_seconds?: number | null;
  wall_clock_timeout_seconds?: number | null;
  retry_policy?: {
    max_attempts?: number;
    backoff_seconds?: number;
    max_backoff_seconds?: number;
    retry_on?: string[];
  };
  /** Limits of the task alone. */
  task_timeouts?: { inactivity_timeout_seconds?: number; wall_clock_timeout_seconds?: number };
  repository_url?: string;
  branch?: string;
}

/** `GET …/status` of a task. */
export interface RunStatusBody {
  state: string;
  run_id: string | null;
  run_state: string | null;
  attempt: number | null;
  agent_instance_id: string | null;
  failure_code: string | null;
  failure_message: string | null;
  waiting_for: { reason: string; message: string } | null;
}

/** An agent instance as the API shows it. */
export interface AgentBody {
  id: string;
  task_id: string;
  run_id: string;
  agent_type_version: number | null;
  container_id: string | null;
  container_name: string | null;
  status: string;
  image_id: string | null;
  image_digest: string | null;
  network: string;
  inactivity_timeout_seconds: number | null;
  wall_clock_timeout_seconds: number | null;
  paused_at: string | null;
  paused_ms: number;
  health: string | null;
  usage: Record<string, number | null> | null;
  sandbox: { not_enforced: string[] } | null;
  started_at: string | null;
  stopped_at: string | null;
  exit_code: number | null;
  failure_code: string | null;
  error_message: string | null;
  result_summary: string | null;
  created_at: string;
}

/** One artifact as the API lists it. */
export interface ArtifactBody {
  id: string;
  name: string;
  type: string;
  path: string;
  size: number;
  sha256: string;
  download_url: string;
}

/** How a run has ended: the three states that belong together, and why. */
export interface Ended {
  task_id: string;
  task: string;
  run: string;
  agent: string;
  exit_code: number | null;
  failure_code: string | null;
  message: string | null;
  instance: AgentBody;
}

/** How the three end that belong together. */
export const COMPLETED = {
  ...{ task: 'COMPLETED', run: 'COMPLETED', agent: 'COMPLETED' },
  ...{ failure_code: null, message: null },
};
export const FAILED = { task: 'FAILED', run: 'FAILED', agent: 'FAILED' };
export const CANCELLED = { task: 'CANCELLED', run: 'CANCELLED', agent: 'STOPPED', failure_code: 'agent.stopped' };

/** Command of an agent that is a shell script, or a Node program. */
export const sh = (script: string): string[] => ['sh', '-c', script];
export const node = (program: string): string[] => ['node', '-e', program];

const SERVER_STATUSES = new Set(['PENDING', 'STARTING', 'RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'STOPPED', 'LOST']);

/** A server with an administrator and a board, and short ways to let agents run on it. */
export class AgentBench {
  private made = 0;

  private constructor(
    readonly server: TestServer,
    readonly admin: ApiClient,
    readonly board_id: string,
  ) {}

  static async open(env: Record<string, string> = {}): Promise<AgentBench> {
    const server = await TestServer.start(env);
    const admin = await server.newUser();
    const { status, body } = await admin.post<{ id: string }>('/boards', { name: 'Agents' });
    if (status !== 201) throw new Error(`making a board answered ${status}: ${JSON.stringify(body)}`);
    return new AgentBench(server, admin, body.id);
  }

  /** The server still answers, and no container of it is left. */
  async expectQuiet(): Promise<void> {
    await noContainerLeft(this.server.home);
    expect((await fetch(`${this.server.url}/health/live`)).status).toBe(200);
  }

  async close(): Promise<void> {
    try {
      await this.expectQuiet();
    } finally {
      await this.server.dispose();
    }
  }

  /** Registers an agent type and a task for it; returns the task's id. */
  async task(recipe: AgentRecipe): Promise<string> {
    const { repository_url, branch, task_timeouts, ...type } = recipe;
    const name = `agent-${++this.made}`;
    const registered = await this.admin.post('/agent-types', { name, docker_image: 'kandev/demo-agent', ...type });
    if (registered.status !== 201) throw new Error(`the agent type was refused: ${JSON.stringify(registered.body)}`);
    const task = { title: `Task ${this.made}`, description: 'To be done.', agent_type: name };
    const { status, body } = await this.admin.post<{ id: string }>(`/boards/${this.board_id}/tasks`, {
      ...task,
      ...(repository_url === undefined ? {} : { repository_url }),
      ...(branch === undefined ? {} : { branch }),
      ...task_timeouts,
    });
    if (status !== 201) throw new Error(`the task was refused: ${JSON.stringify(body)}`);
    return body.id;
  }

  async start(taskId: string): Promise<void> {
    const { status, body } = await this.admin.post(`/orchestrator/tasks/${taskId}/start`);
    if (status !== 202) throw new Error(`the start was refused: ${JSON.stringify(body)}`);
  }

  /** Lets the agent run to its end. */
  async run(recipe: AgentRecipe, limitMs?: number): Promise<Ended> {
    const taskId = await this.task(recipe);
    await this.start(taskId);
    return this.ended(taskId, limitMs);
  }

  async status(taskId: string): Promise<RunStatusBody> {
    return (await this.admin.get<RunStatusBody>(`/orchestrator/tasks/${taskId}/status`)).body;
  }

  async instance(agentId: string): Promise<AgentBody> {
    return (await this.admin.get<AgentBody>(`/agents/${agentId}`)).body;
  }

  /** Waits until the agent runs and returns its instance. */
  async running(taskId: string): Promise<AgentBody> {
    return until('the agent to run', async () => {
      const { agent_instance_id, run_state } = await this.status(taskId);
      if (agent_instance_id === null || run_state !== 'RUNNING') return undefined;
      return this.instance(agent_instance_id);
    });
  }

  /** Waits until the run is over and the task has followed it. */
  async ended(taskId: string, limitMs?: number): Promise<Ended> {
    const status = await until(
      `the run of task ${taskId} to end`,
      async () => {
        const now = await this.status(taskId);
        const over = ['COMPLETED', 'FAILED', 'CANCELLED'];
        return over.includes(now.run_state ?? '') && over.includes(now.state) && now;
      },
      limitMs,
    );
    const instance = await this.instance(status.agent_instance_id ?? '');
    expect(instance.failure_code ?? 'none').toBe(status.failure_code ?? instance.failure_code ?? 'none');
    return {
      ...{ task_id: taskId, task: status.state, run: status.run_state ?? '', agent: instance.status },
      ...{ exit_code: instance.exit_code, failure_code: instance.failure_code, message: instance.error_message },
      instance,
    };
  }

  /** The whole stream of a task up to now; fails unless it is numbered 1, 2, 3 … */
  async stream(taskId: string, limitMs?: number): Promise<AcpMessage[]> {
    const listener = await listenOverSocketIo(this.target(taskId));
    try {
      const messages = await heard(listener, listener.head_seq, limitMs);
      expect(listener.oddities).toEqual([]);
      expect(messages.findIndex(({ seq }, index) => seq !== index + 1)).toBe(-1);
      return messages;
    } finally {
      listener.close();
    }
  }

  /** What the agent itself has said: the stream without what the server adds. */
  async said(taskId: string, limitMs?: number): Promise<AcpMessage[]> {
    return (await this.stream(taskId, limitMs)).filter((message) => !isOfServer(message));
  }

  target(taskId: string, after = 0): { url: string; token: string; task_id: string; after: number } {
    return { url: this.server.url, token: this.admin.token, task_id: taskId, after };
  }

  async artifacts(taskId: string): Promise<ArtifactBody[]> {
    const { body } = await this.admin.get<{ artifacts: ArtifactBody[] }>(`/orchestrator/tasks/${taskId}/artifacts`);
    return body.artifacts;
  }

  /** Where the task's checkout lies on this host; see KANDEV_DISK_LIMIT_METHOD in server.ts. */
  workspace(taskId: string): string {
    return `${this.server.home}/workspaces/${taskId}/workspace`;
  }

  runDirectory(agentId: string): string {
    return `${this.server.home}/runs/${agentId}`;
  }
}

/** A message of the server's own: its progress says so, and agents write their statuses in small letters here. */
export function isOfServer({ type, data }: AcpMessage): boolean {
  if (type === 'progress') return data['source'] === 'server';
  return type === 'status' && typeof data['status'] === 'string' && SERVER_STATUSES.has(data['status']);
}
