import { httpRequest } from './http-connection.js';
import { API, as, call, expectStatus, type BenchUser } from './api.js';

/** Settings of a server whose agents are plain processes: what the engine adds to a line's way is a pipe and no time. */
export const PROCESS_AGENTS = { KANDEV_ALLOW_PROCESS_RUNTIME: 'true', KANDEV_DISK_LIMIT_METHOD: 'measured' };

/** Registers an agent type that runs `command` as a process; `user` has to be an administrator. */
export async function createAgentType(url: string, user: BenchUser, name: string, command: string[]): Promise<void> {
  const type = { name, docker_image: 'none', runtime: 'process', command };
  expectStatus(201, await call(url, httpRequest('POST', `${API}/agent-types`, as(user), type)));
}

/** A task for such an agent; returns its id. */
export async function createTask(url: string, user: BenchUser, board: string, agentType: string): Promise<string> {
  const task = { title: 'Measured', description: 'Writes lines.', agent_type: agentType };
  const answer = await call(url, httpRequest('POST', `${API}/boards/${board}/tasks`, as(user), task));
  return expectStatus<{ id: string }>(201, answer).id;
}

/** Lets the task's agent run; returns when that is accepted. */
export async function startTask(url: string, user: BenchUser, taskId: string): Promise<void> {
  expectStatus(202, await call(url, httpRequest('POST', `${API}/orchestrator/tasks/${taskId}/start`, as(user))));
}
