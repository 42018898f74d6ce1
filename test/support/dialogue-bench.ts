import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { bundleTestAgent } from '../../scripts/lib/image/test-agent.mjs';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { AgentBench, type AgentRecipe } from './agents.js';
import { until } from './until.js';

export type Step = Record<string, unknown>;
export type DialogueRecipe = AgentRecipe & { home: string };

export interface ApprovalBody {
  id: string;
  task_id: string;
  agent_id: string;
  title: string;
  state: string;
  option_id: string | null;
  outcome: string | null;
  reason: string | null;
  answered_by: string | null;
  options: { option_id: string; kind: string }[];
}

/** A server whose agents are test agents in processes of their own. */
export class DialogueBench {
  private readonly homes: string[] = [];

  private constructor(
    readonly bench: AgentBench,
    private readonly program: string,
  ) {}

  static async open(env: Record<string, string> = {}): Promise<DialogueBench> {
    const program = bundleTestAgent(resolve(import.meta.dirname, '../..'));
    return new DialogueBench(await AgentBench.open({ DOCKER_HOST: 'unix:///nowhere/docker.sock', ...env }), program);
  }

  async close(): Promise<void> {
    await this.bench.server.dispose();
    for (const home of this.homes) rmSync(home, { recursive: true, force: true });
  }

  /** A test agent with a home of its own; its n-th prompt plays the n-th script. */
  agent(scripts: Step[][], quirks: Step = {}, { environment_vars, ...rest }: AgentRecipe = {}): DialogueRecipe {
    const home = mkdtempSync(join(tmpdir(), 'kandev-test-agent-'));
    this.homes.push(home);
    const variables = {
      HOME: home,
      TEST_AGENT_SCRIPT: JSON.stringify(scripts),
      TEST_AGENT_QUIRKS: JSON.stringify(quirks),
      ...environment_vars,
    };
    const command = [process.execPath, this.program];
    const type = { runtime: 'process', protocol: 'agent-client-protocol', command } as const;
    return { ...type, environment_vars: variables, ...rest, home };
  }

  /** Its run has been started. */
  async begin({ home: _, ...recipe }: DialogueRecipe): Promise<string> {
    const id = await this.bench.task(recipe);
    await this.bench.start(id);
    return id;
  }

  /** What the agent was sent. */
  received({ home }: { home: string }): { method?: string; id?: number | string; result?: unknown; error?: Step }[] {
    const file = join(home, '.test-agent/received.ndjson');
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line) as { method?: string });
  }

  /** The answers to the agent's own requests. */
  answers(recipe: { home: string }): unknown[] {
    return this.received(recipe)
      .filter(({ method, result }) => method === undefined && result !== undefined)
      .map(({ result }) => result);
  }

  async told(taskId: string, kind: string): Promise<AcpMessage[]> {
    return (await this.bench.stream(taskId)).filter(
      ({ data }) => (data['metadata'] as Step | undefined)?.['kind'] === kind,
    );
  }

  /** What the agent has said in words. */
  async words(taskId: string): Promise<string> {
    return (await this.told(taskId, 'agent_message')).map(({ data }) => String(data['message'])).join('');
  }

  async approvals(taskId: string, state = 'PENDING'): Promise<ApprovalBody[]> {
    const path = `/orchestrator/approvals?task_id=${taskId}&state=${state}`;
    return (await this.bench.admin.get<{ approvals: ApprovalBody[] }>(path)).body.approvals;
  }

  pending(taskId: string): Promise<ApprovalBody> {
    return until('a permission request', async () => (await this.approvals(taskId))[0]);
  }
}
