import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import pg from 'pg';
import { seededRandom } from '../../../bench/lib/random.js';
import type { Answer } from '../../support/api-client.js';
import type { TestUser } from '../../support/test-user.js';
import { until } from '../../support/until.js';
import { clearAway } from '../dispatch/clear-away.js';
import { ServerProcess } from '../stream/server-process.js';
import type { World } from '../stream/world.js';
import { Conversation, type Stage } from './conversation.js';
import { agentTypeOf, HOME_IN_CONTAINER, settingsOf, type Plan } from './recipe.js';
import { judge, type Facts, type Finding } from './verdict.js';

const LIMIT_MS = 120_000; // of every wait, on the slowest machine
/** How long a server listens that was to die at a point: as long as the start of an agent and a turn take. */
const LIFE_MS = 15_000;

/** A server that is killed again and again, and conversations that go on meanwhile. */
export class SessionTrial implements Stage {
  readonly server: ServerProcess;
  readonly conversations: Conversation[] = [];
  admin!: TestUser;
  board = '';
  kills = 0;
  /** What is judged is over, or its time is up. */
  isClosed = false;
  private made = 0;
  /** What is begun goes on over a kill. */
  private readonly begun: Promise<unknown>[] = [];
  private readonly pool: pg.Pool;

  private constructor(
    private readonly world: World,
    database: string,
  ) {
    this.pool = new pg.Pool({ connectionString: database, max: 4 });
    this.pool.on('error', () => undefined);
    world.later(() => this.pool.end());
    const home = world.folder('home');
    world.later(() => clearAway(home, new Dockerode())); // the last is undone first: when the server is dead
    this.server = new ServerProcess(world, { home, database, env: {} });
    world.later(() => void (this.isClosed = true));
  }

  /** With a server that runs. */
  static async open(world: World): Promise<SessionTrial> {
    const trial = new SessionTrial(world, await world.database());
    await trial.server.start();
    trial.admin = await trial.server.newUser('admin');
    trial.board = await trial.admin.createBoard();
    return trial;
  }

  async rows<T extends object>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    return (await this.pool.query<T>(sql, parameters)).rows;
  }

  /** Asks until there is one of these answers: the server may be dead, or about to die. */
  async sure<T>(statuses: readonly number[], ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
    const answered = async (): Promise<Answer<T> | 'closed'> => {
      if (this.isClosed) return 'closed';
      const answer = await ask();
      if (statuses.includes(answer.status)) return answer;
      throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
    };
    const answer = await until(`an answer of ${statuses.join(' or ')}`, answered, LIMIT_MS);
    if (answer === 'closed') throw new Error('the trial is over');
    return answer;
  }

  /** A task with an agent of its own, begun. */
  async begin(plan: Plan): Promise<Conversation> {
    const name = `agent-${++this.made}`;
    const home = this.world.folder('agent');
    const fields = agentTypeOf(plan, name, home);
    const made = await this.sure([201, 409], () => this.admin.post<{ id: string }>('/agent-types', fields));
    const [type] = await this.rows<{ id: string }>('select id from agent_types where name = $1', [name]);
    const path = `/agent-types/${made.body.id ?? type?.id}/session-settings`;
    await this.sure([200], () => this.admin.put(path, settingsOf(plan)));
    const task = { title: name, description: 'To be done', agent_type: name };
    const { body } = await this.sure([201], () => this.admin.post<{ id: string }>(`/boards/${this.board}/tasks`, task));
    const workspace = join(this.server.place.home, 'workspaces', body.id, HOME_IN_CONTAINER);
    const where = plan.runtime === 'docker' ? workspace : home;
    const conversation = new Conversation(this, plan, body.id, where, seededRandom(this.made));
    this.conversations.push(conversation);
    return conversation;
  }

  /** Those that are not over yet. */
  get live(): Conversation[] {
    return this.conversations.filter(({ isOver }) => !isOver);
  }

  /** The plug is pulled, and put in again after so many milliseconds. */
  async restart(awayMs = 0): Promise<void> {
    await this.server.kill();
    this.kills++;
    if (awayMs > 0) await sleep(awayMs); // the agents go on while nobody listens
    this.requireOpen();
    await this.server.start();
  }

  /** @throws Error where all is being cleared away: what is started now nobody would end */
  private requireOpen(): void {
    if (this.isClosed) throw new Error('the trial is over');
  }

  /**
   * One life of the server, up to a fault point that is reached while there are conversations; see `armFaultPoint`.
   * Resolves to whether it was reached.
   */
  async lifeUpTo(setting: string, meanwhile: () => Promise<unknown>): Promise<boolean> {
    this.requireOpen();
    await this.server.kill();
    let listensUntil = Number.POSITIVE_INFINITY;
    const started = this.server.start({ KANDEV_FAULT_POINT: setting }).then(
      () => {
        listensUntil = Date.now() + LIFE_MS;
        const begun = meanwhile();
        begun.catch(() => undefined); // awaited by the verdict
        this.begun.push(begun);
      },
      () => undefined, // it has died as early as that
    );
    const isLong = (): boolean => Date.now() > listensUntil;
    const how = await until('the kill', () => this.server.endedBy ?? (isLong() && 'alive'), LIMIT_MS);
    if (how !== 'SIGKILL' && how !== 'alive') throw new Error(`at ${setting} the server ended by ${how}`);
    if (how === 'SIGKILL') this.kills++;
    await this.server.kill();
    await started;
    return how === 'SIGKILL';
  }

  /** Starts the server without a fault, and lets all come to its end; the sum of what was found. */
  async judge(wanted: number, note: string): Promise<Finding> {
    await this.server.kill();
    await this.server.start();
    return this.verdict(wanted, note);
  }

  /** The same with the server as it is; so many kills were wanted. */
  async verdict(wanted: number, note: string): Promise<Finding> {
    const total: Finding = {
      ...{
        kills: this.kills,
        kills_missing: Math.max(0, wanted - this.kills),
        turns: 0,
        words: 0,
        answers: 0,
        lost: 0,
        doubled: 0,
        reordered: 0,
        torn: 0,
      },
      ...{ wrong_ends: 0, wrong_answers: 0, wrong_starts: 0, note },
    };
    const notes: string[] = [];
    await Promise.all(this.begun);
    for (const conversation of this.conversations) {
      await conversation.over;
      const { finding, found } = judge(await conversation.facts());
      for (const [name, count] of Object.entries(finding)) total[name as keyof typeof finding] += count;
      notes.push(...found.map((text) => `${conversation.task_id}: ${text}`));
    }
    return { ...total, note: [note, ...notes.slice(0, 5)].filter(Boolean).join(' · ') };
  }

  /** All messages of a task, by the API. */
  async stream(taskId: string): Promise<Facts['messages']> {
    const url = `${this.server.url}/api/v1/tasks/${taskId}/messages.ndjson`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${this.admin.token}` } });
    if (answer.status !== 200) throw new Error(`the messages of ${taskId}: ${answer.status} ${await answer.text()}`);
    const lines = (await answer.text()).split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Facts['messages'][number]);
  }
}
