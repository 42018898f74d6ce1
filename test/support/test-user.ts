import { ApiClient } from './api-client.js';
import { until } from './until.js';

export interface TaskBody {
  id: string;
  board_id: string;
  state: string;
  version: number;
}

export interface RunStatusBody {
  run_id: string | null;
  run_state: string | null;
  agent_instance_id: string | null;
  failure_code: string | null;
  failure_message: string | null;
  progress: number | null;
}

export interface LogLineBody {
  seq: number;
  level: string;
  message: string;
  metadata: Record<string, unknown>;
}

/** A part of a list, under its own key. */
export type ListBody<K extends string, T> = Record<K, T[]> & { total: number; next_cursor: string | null };

const RUN_ENDS: readonly string[] = ['COMPLETED', 'FAILED', 'CANCELLED'];
const LOG_PAGE = 1000;

/** A user who runs agents: what most tests of runs begin and end with. */
export class TestUser extends ApiClient {
  static override async register(server: () => string, name: string): Promise<TestUser> {
    const { tokens } = await ApiClient.register(server, name);
    return new TestUser(server, tokens);
  }

  /** A request that has to be answered with `status`; returns the body. */
  async must<T>(status: number, method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.send<T>(method, path, body);
    if (answer.status === status) return answer.body;
    throw new Error(`${method} ${path}: ${answer.status} instead of ${status}: ${JSON.stringify(answer.body)}`);
  }

  async createBoard(name = 'Board'): Promise<string> {
    return (await this.must<{ id: string }>(201, 'POST', '/boards', { name })).id;
  }

  async createTask(boardId: string, fields: Record<string, unknown> = {}): Promise<TaskBody> {
    return this.must(201, 'POST', `/boards/${boardId}/tasks`, {
      title: 'A task',
      description: 'To be done',
      ...fields,
    });
  }

  /** Registers an agent type (administrators) on the demo agent's image, which has sh, git and node; returns its name. */
  async createAgentType(fields: Record<string, unknown> & { name: string }): Promise<string> {
    await this.must(201, 'POST', '/agent-types', { docker_image: 'kandev/demo-agent', ...fields });
    return fields.name;
  }

  /** A board, a task on it with this agent type, started. */
  async startTask(agentType: string, fields: Record<string, unknown> = {}): Promise<TaskBody> {
    const task = await this.createTask(await this.createBoard(), { agent_type: agentType, ...fields });
    await this.must(202, 'POST', `/orchestrator/tasks/${task.id}/start`, {});
    return task;
  }

  runStatus(taskId: string): Promise<RunStatusBody> {
    return this.must(200, 'GET', `/orchestrator/tasks/${taskId}/status`);
  }

  /** The task's run status once its run is in one of the states; an end by default. */
  async untilRun(taskId: string, states = RUN_ENDS, limitMs = 45_000): Promise<RunStatusBody> {
    return until(
      `the run of task ${taskId} to be ${states.join(' or ')}`,
      async () => {
        const status = await this.runStatus(taskId);
        return states.includes(status.run_state ?? '') && status;
      },
      limitMs,
    );
  }

  /** The task once it is in one of the states. */
  async untilTask(taskId: string, states: readonly string[]): Promise<TaskBody> {
    return until(`the task ${taskId} to be ${states.join(' or ')}`, async () => {
      const task = await this.must<TaskBody>(200, 'GET', `/tasks/${taskId}`);
      return states.includes(task.state) && task;
    });
  }

  /** All items of a list, page by page by its cursors; the path has a query. */
  async pages<T>(path: string, key: string): Promise<T[]> {
    const items: T[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: ListBody<string, T> = await this.must(200, 'GET', cursor ? `${path}&cursor=${cursor}` : path);
      items.push(...(page[key] ?? []));
      cursor = page.next_cursor;
    }
    return items;
  }

  /** All log messages of a task, in order. */
  async logs(taskId: string): Promise<LogLineBody[]> {
    const all: LogLineBody[] = [];
    for (;;) {
      const path = `/orchestrator/tasks/${taskId}/logs?limit=${LOG_PAGE}&offset=${all.length}`;
      const { logs } = await this.must<{ logs: LogLineBody[] }>(200, 'GET', path);
      all.push(...logs);
      if (logs.length < LOG_PAGE) return all;
    }
  }
}
