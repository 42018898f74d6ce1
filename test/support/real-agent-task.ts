import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import type { AgentBench, Ended } from './agents.js';
import { query } from './database.js';
import { makeRepository } from './repository.js';
import { until } from './until.js';

/** A real agent begins within some seconds, and where others load the machine as well within half a minute. */
export const LONG_MS = 60_000;

/** A prompt as the API lists it. */
export interface PromptBody {
  id: string;
  run_id: string | null;
  kind: string;
  state: string;
  stop_reason: string | null;
  tokens_in: number | null;
  tokens_out: number | null;
}

/** A permission request as the API lists it. */
export interface ApprovalBody {
  id: string;
  title: string;
  tool_kind: string | null;
  paths: string[];
  options: { option_id: string; kind: string }[];
}

/** A task for an agent type that is there, and what people do with it. */
export class RealAgentTask {
  private constructor(
    private readonly bench: AgentBench,
    readonly id: string,
  ) {}

  static async make(bench: AgentBench, agent_type: string, files: Record<string, string>): Promise<RealAgentTask> {
    const repository_url = makeRepository(bench.server.directory, files);
    const task = { title: 'Repair price.js', description: 'It subtracts.', agent_type, repository_url };
    const { status, body } = await bench.admin.post<{ id: string }>(`/boards/${bench.board_id}/tasks`, task);
    if (status !== 201) throw new Error(`the task was refused: ${JSON.stringify(body)}`);
    return new RealAgentTask(bench, body.id);
  }

  async say(text: string, how: { interrupt?: boolean } = {}): Promise<void> {
    const { status, body } = await this.bench.admin.post(`/orchestrator/tasks/${this.id}/prompts`, { text, ...how });
    if (status !== 202) throw new Error(`the prompt was refused: ${JSON.stringify(body)}`);
  }

  async prompts(): Promise<PromptBody[]> {
    return (await this.bench.admin.get<{ prompts: PromptBody[] }>(`/orchestrator/tasks/${this.id}/prompts`)).body
      .prompts;
  }

  /** What the agent asks for, when the task shows that it waits. */
  async asked(): Promise<ApprovalBody> {
    return until(
      'a permission request',
      async () => {
        const { body } = await this.bench.admin.get<{ approvals: ApprovalBody[] }>(
          `/orchestrator/approvals?task_id=${this.id}`,
        );
        return (await this.bench.status(this.id)).state === 'BLOCKED' && body.approvals[0];
      },
      LONG_MS,
    );
  }

  async answer({ id, options }: ApprovalBody, kind: string): Promise<void> {
    const option_id = options.find((option) => option.kind === kind)?.option_id;
    const { status, body } = await this.bench.admin.post(`/orchestrator/approvals/${id}`, { option_id });
    if (status !== 200) throw new Error(`the answer was refused: ${JSON.stringify(body)}`);
  }

  /** Waits until the n-th prompt and its run are over. */
  async ended(n: number): Promise<Ended> {
    await until(
      `prompt ${n} to be over`,
      async () => {
        return ['COMPLETED', 'CANCELLED', 'FAILED'].includes((await this.prompts())[n - 1]?.state ?? '');
      },
      LONG_MS,
    );
    return this.bench.ended(this.id);
  }

  /** The metadata of its messages of this kind, each with the message's text, oldest first. */
  async told(kind: string): Promise<Record<string, unknown>[]> {
    const metadata = ({ data }: AcpMessage) => ({
      ...(data['metadata'] as object | undefined),
      message: data['message'],
    });
    return (await this.bench.stream(this.id)).map(metadata).filter((one) => 'kind' in one && one.kind === kind);
  }

  /** What the agent has said, run for run. */
  async words(): Promise<string[]> {
    const runs = new Map<string, string>();
    for (const { run_id, data } of await this.bench.stream(this.id)) {
      if ((data['metadata'] as { kind?: string } | undefined)?.kind !== 'agent_message') continue;
      runs.set(run_id, `${runs.get(run_id) ?? ''}${String(data['message'])}`);
    }
    return [...runs.values()];
  }

  /** Changed lines of the workspace, as a unified diff has them. */
  async diff(): Promise<{ path: string; lines: string[] }[]> {
    const { body } = await this.bench.admin.get<{ files: { path: string; patch: string }[] }>(`/tasks/${this.id}/diff`);
    return body.files.map(({ path, patch }) => ({ path, lines: patch.match(/^[-+](?![-+]).*$/gm) ?? [] }));
  }

  /** As if two minutes had passed: Gemini CLI spoils a session that is loaded within a minute, by its file's name. */
  async age(): Promise<void> {
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    const home = join(this.bench.workspace(this.id), '../home');
    for (const path of readdirSync(home, { recursive: true, encoding: 'utf8' })) {
      if (/chats\/session-[^/]*$/.test(path))
        renameSync(join(home, path), join(home, path.replace(/session-\d{4}-\d\d-\d\d/, `session-${yesterday}`)));
    }
    const older = `update agent_sessions set opened_at = opened_at - interval '2 minutes' where task_id = $1`;
    await query(this.bench.server.database.url, older, [this.id]);
  }
}
