import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Plan } from '../../support/numbered-agent.js';
import { sumOf } from '../../support/damage.js';
import { ExpectedLines } from '../../support/line-checker.js';
import type { TestUser } from '../../support/test-user.js';
import { until } from '../../support/until.js';
import { facesOf } from './faces.js';
import { Follower } from './follower.js';
import { ServerProcess } from './server-process.js';
import { headOf, judgeStream, type Ending, type Numbered, type Tally } from './verdict.js';
import type { World } from './world.js';

/** The program of the agents. */
export const AGENT_FILE = join(import.meta.dirname, '../../support/numbered-agent.ts');
/** Node runs the program as it is. */
const PROGRAM = [process.execPath, '--disable-warning=ExperimentalWarning', AGENT_FILE];
const LIMIT_MS = 120_000; // of every wait, on the slowest machine
const STILL_MS = 1_500; // many batches, where they get through

/** A server with an administrator, numbered agents on it, and the verdict over what became of their lines. */
export class StreamTrial {
  private types = 0;
  private constructor(
    readonly world: World,
    readonly server: ServerProcess,
    /** As the checker reaches the database: past whatever is put between it and the server. */
    readonly database: string,
    readonly admin: TestUser,
    private readonly board: string,
  ) {}

  static async open(
    world: World,
    options: { env?: Record<string, string>; database?: string; seenByServer?: string; home?: string } = {},
  ): Promise<StreamTrial> {
    const database = options.database ?? (await world.database());
    const place = { home: options.home ?? world.folder('home'), database: options.seenByServer ?? database };
    const server = new ServerProcess(world, { ...place, env: options.env ?? {} });
    await server.start();
    const admin = await server.newUser('admin');
    return new StreamTrial(world, server, database, admin, await admin.createBoard());
  }

  /** Starts an agent; `clients` follow it, the faces of the server in turns. */
  async begin(plan: Plan, clients = 0, type: Record<string, unknown> = {}): Promise<Numbered> {
    const agent_type = await this.admin.createAgentType({
      ...{ name: `numbered-${++this.types}`, runtime: 'process', command: PROGRAM, ...type },
      environment_vars: { NUMBERED_PLAN: JSON.stringify(plan) },
    });
    const { id: task_id } = await this.admin.createTask(this.board, { agent_type });
    const expected = new ExpectedLines(plan, task_id);
    const numbered: Numbered = { task_id, plan, expected, followers: [] };
    await this.follow(numbered, clients);
    const started = await this.admin.post(`/orchestrator/tasks/${task_id}/start`, {}).catch(() => undefined);
    // Whoever kills the server may kill it in this very answer.
    if (started && started.status !== 202) throw new Error(`start answered ${started.status}`);
    return numbered;
  }

  /** Some more clients, from the first message on. */
  async follow({ task_id, expected, followers }: Numbered, clients: number): Promise<void> {
    if (clients === 0) return;
    const aim = () => ({ url: this.server.url, token: this.admin.token, task_id });
    const faces = await facesOf({ ...aim(), after: 0 });
    for (let i = 0; i < clients; i++) followers.push(new Follower(aim, faces[i % faces.length]!, expected));
    this.world.later(() => followers.forEach((follower) => follower.close()));
  }

  /** The last `seq` that is stored of a task; 0 for none. */
  async head(taskId: string): Promise<number> {
    return headOf(this.database, taskId);
  }

  /** Waits for `more` messages from now on. */
  async grown({ task_id }: Numbered, more: number): Promise<void> {
    const before = await this.head(task_id).catch(() => 0);
    await until('the stream to grow', async () => (await this.head(task_id)) >= before + more, LIMIT_MS);
  }

  /** Waits until nothing more is stored, for whatever reason. */
  async stuck({ task_id }: Numbered): Promise<void> {
    let before = -1;
    await until(
      'the stream to stand still',
      async () => {
        const head = await this.head(task_id).catch(() => before);
        const still = head === before;
        before = head;
        await sleep(STILL_MS);
        return still;
      },
      LIMIT_MS,
    );
  }

  /** Waits for the end of the runs and of their streams, and compares written, persisted and delivered. */
  async judge(all: readonly Numbered[], note: string, ending: Ending = {}): Promise<Tally> {
    const tallies: Tally[] = [];
    for (const numbered of all) tallies.push(await judgeStream(this, numbered, ending));
    const sum = (key: 'written' | 'persisted' | 'delivered') => tallies.reduce((total, tally) => total + tally[key], 0);
    const damage = sumOf(tallies.map((tally) => tally.damage));
    const notes = tallies.map((tally) => tally.note).filter((text) => text !== '');
    return {
      written: sum('written'),
      persisted: sum('persisted'),
      delivered: sum('delivered'),
      damage,
      note: [note, ...notes].join(' '),
    };
  }
}
