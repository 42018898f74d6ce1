import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { buildDemoImage, engineAnswers } from '../../../scripts/build-demo-image.mjs';
import type { TestUser } from '../../support/test-user.js';
import { until } from '../../support/until.js';
import { CannotRunHere } from '../scenario.js';
import { ServerProcess } from '../stream/server-process.js';
import { query, type World } from '../stream/world.js';
import { COMMAND, tellEnd } from './agent.js';
import { auditEnds } from './audit.js';
import { clearAway } from './clear-away.js';
import { judge, type Finding } from './verdict.js';

const LIMIT_MS = 120_000; // of every wait, on the slowest machine
/** The same for all servers of a database: a user of one is a user of each. */
const SECRET = { JWT_SECRET: 'a secret of these tests alone, long enough for a server' };
/** Failures end a run at once. */
export const ONE_ATTEMPT = { KANDEV_RETRY_MAX_ATTEMPTS: '1' };

/** An engine as servers reach it, and as the checker does. */
export interface Reach {
  /** For DOCKER_HOST; the default engine where absent. */
  host?: string;
  engine?: Dockerode;
}

/** Servers on one database, an administrator, and tasks whose agents count their starts. */
export class DispatchTrial {
  readonly members: { server: ServerProcess; engine: Dockerode }[] = [];
  admin!: TestUser;
  board = '';

  private constructor(
    readonly world: World,
    readonly database: string,
    private readonly env: Record<string, string>,
  ) {}

  /** With one server that runs. @throws CannotRunHere where there is no engine */
  static async open(world: World, env: Record<string, string> = {}, reach: Reach = {}): Promise<DispatchTrial> {
    if (!(await engineAnswers())) throw new CannotRunHere('needs Docker');
    await buildDemoImage();
    const trial = new DispatchTrial(world, await world.database(), { ...SECRET, ...ONE_ATTEMPT, ...env });
    const server = trial.member({}, reach);
    await server.start();
    trial.admin = await server.newUser('admin');
    trial.board = await trial.admin.createBoard();
    await auditEnds(trial.database);
    await trial.admin.createAgentType({ name: 'agent', command: COMMAND, network: 'none' });
    await trial.admin.createAgentType({
      ...{ name: 'supplied', command: COMMAND, network: 'isolated', mounts: ['ssh_keys', 'gitconfig'] },
      default_resources: { memory_limit: '256m', disk_limit: '32m' },
    });
    await trial.admin.createAgentType({ name: 'online', command: COMMAND, network: 'open' });
    return trial;
  }

  /** The first server. */
  get server(): ServerProcess {
    return this.members[0]!.server;
  }

  /** One more server, not started: with a home of its own, or with that of another. */
  member(
    env: Record<string, string> = {},
    { host, engine = new Dockerode() }: Reach = {},
    home?: string,
  ): ServerProcess {
    const place = { home: home ?? this.world.folder('home'), database: this.database };
    if (!home) this.world.later(() => clearAway(place.home, engine));
    const reached: Record<string, string> = host ? { DOCKER_HOST: host } : {};
    const server = new ServerProcess(this.world, { ...place, env: { ...reached, ...this.env, ...env } });
    this.members.push({ server, engine });
    return server;
  }

  /** A task for an agent that does this; its id. */
  async task(description: string, fields: Record<string, unknown> = {}): Promise<string> {
    return (await this.admin.createTask(this.board, { agent_type: 'agent', description, ...fields })).id;
  }

  /** The same, started. Whoever kills the server may kill it in the very answer. */
  async begin(description: string, fields: Record<string, unknown> = {}): Promise<string> {
    const id = await this.task(description, fields);
    await this.admin.post(`/orchestrator/tasks/${id}/start`, {}).catch(() => undefined);
    return id;
  }

  /** Waits until the run of the task is in the state; its present attempt. */
  async reached(taskId: string, ...states: string[]): Promise<{ agent_id: string; run_id: string; attempt: number }> {
    return until(
      `the run of ${taskId} to be ${states.join(' or ')}`,
      async () => (await this.present(taskId, states))[0],
      LIMIT_MS,
    );
  }

  /** Waits until no run is live any more. */
  async allEnded(limitMs = LIMIT_MS): Promise<void> {
    const sql = `select id, state from runs where state not in ('COMPLETED', 'FAILED', 'CANCELLED')`;
    await until('all runs to end', async () => (await query(this.database, sql)).length === 0, limitMs);
  }

  /** Lets an agent that waits go on to its end, wherever it runs. */
  async endAgent(taskId: string, code = 0): Promise<void> {
    const { agent_id } = await this.reached(taskId, 'RUNNING');
    for (const { server } of this.members)
      if (existsSync(join(server.place.home, 'runs', agent_id))) tellEnd(server.place.home, taskId, agent_id, code);
  }

  /** Asks for the stop of a task's run; the status of the answer, 0 for none. */
  async stop(taskId: string, body: Record<string, unknown> = {}, by: TestUser = this.admin): Promise<number> {
    const answer = await by.post(`/orchestrator/tasks/${taskId}/stop`, body).catch(() => undefined);
    return answer?.status ?? 0;
  }

  /** The id that tells a server's host from others. */
  hostId(server: ServerProcess): string {
    return readFileSync(join(server.place.home, 'host-id'), 'utf8').trim();
  }

  /** Compares all that was started with all that is there. */
  judge(note: string): Promise<Finding> {
    const homes = this.members.map(({ server, engine }) => ({ home: server.place.home, engine }));
    const distinct = homes.filter(({ home }, n) => homes.findIndex((other) => other.home === home) === n);
    return judge({ database: this.database, homes: distinct }, note);
  }

  private present(taskId: string, states: string[]) {
    return query<{ agent_id: string; run_id: string; attempt: number }>(
      this.database,
      `select agent.id as agent_id, run.id as run_id, run.attempt from runs run
       left join agent_instances agent on agent.run_id = run.id and agent.attempt = run.attempt
       where run.task_id = $1 and run.state = any($2) order by run.queued_at desc limit 1`,
      [taskId, states],
    );
  }
}
