import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { PASSWORD } from './api-client.js';
import { isAlive } from './processes.js';
import { RawHttp, type RawAnswer } from './raw-http.js';
import { TestServer } from './server.js';
import type { TestUser } from './test-user.js';
import { until } from './until.js';

/**
 * Everybody who may ask. `script` is an API key of the editor, `expired` the owner with a token that has run out,
 * `agent` the key of the own board's agent.
 */
export const PRINCIPALS = [
  ...(['admin', 'owner', 'editor', 'script', 'viewer', 'outsider'] as const),
  ...(['anonymous', 'expired', 'agent'] as const),
];
export type Principal = (typeof PRINCIPALS)[number];
type Person = 'admin' | 'owner' | 'editor' | 'viewer' | 'outsider' | 'stranger' | 'extra';

/** Whose things are asked for: the board that the principals have roles on, or the one of a stranger. */
export const SIDES = ['own', 'foreign'] as const;
export type Side = (typeof SIDES)[number];

/** A board and one of everything on it. */
export interface Place {
  board: string;
  /** Who owns it. */
  owner: TestUser;
  /** A task whose agent waits, its run, the agent and the agent's key. */
  task: string;
  run: string;
  agent: string;
  key: string;
  /** A task whose run is over, with a log and an artifact. */
  finished: { task: string; run: string; agent: string; artifact: string };
}

export const JWT_SECRET = 'of the tests alone: 0123456789abcdef0123456789abcdef';
export const WAITER = 'waiter';
const WORKER = 'worker';
const WORK = `echo working; echo report > "$KANDEV_RUN_DIR/artifacts/report.md"`;

/** No limits on requests, no container engine; places for two agents, so that every other run stays queued. */
const ENV = {
  ...{ JWT_SECRET, DOCKER_HOST: 'unix:///nowhere/docker.sock', KANDEV_MAX_CONCURRENT_RUNS: '2' },
  ...{ RATE_LIMIT_PER_MINUTE: '0', RATE_LIMIT_ANONYMOUS_PER_MINUTE: '0' },
  ...{ RATE_LIMIT_SIGN_INS_PER_ADDRESS: '0', RATE_LIMIT_FAILED_SIGN_INS_PER_ACCOUNT: '0' },
};

/** A server with people in all roles and things of theirs: what tests of the whole API begin with. */
export class ApiWorld {
  readonly http: RawHttp;
  /** Whatever the server has given out or been sent that must stay secret. */
  readonly secrets = new Set<string>([PASSWORD]);
  private made = 0;

  private constructor(
    readonly server: TestServer,
    readonly people: Record<Person, TestUser>,
    readonly database: pg.Client,
  ) {
    this.http = new RawHttp(() => server.url);
    for (const person of Object.values(people)) this.keepSecrets(person.tokens);
  }

  own: Place;
  foreign: Place;
  /** An API key of the editor. */
  private scriptKey = '';

  static async open(env: Record<string, string> = {}): Promise<ApiWorld> {
    const server = await TestServer.start({ ...ENV, ...env });
    const database = new pg.Client({ connectionString: server.database.url });
    database.on('error', () => undefined); // the database goes away with the test
    await database.connect();
    const admin = await server.newUser('admin');
    const names = ['owner', 'editor', 'viewer', 'outsider', 'stranger', 'extra'] as const;
    const others = await Promise.all(names.map(async (name) => [name, await server.newUser(name)] as const));
    const people = { admin, ...Object.fromEntries(others) } as Record<Person, TestUser>;
    const world = new ApiWorld(server, people, database);
    await admin.createAgentType({ name: WAITER, runtime: 'process', command: ['sh', '-c', 'sleep 3600 & wait'] });
    await admin.createAgentType({ name: WORKER, runtime: 'process', command: ['sh', '-c', WORK] });
    [world.own, world.foreign] = await Promise.all([world.settle(people.owner), world.settle(people.stranger)]);
    for (const role of ['editor', 'viewer'] as const) {
      await people.owner.must(200, 'PUT', `/boards/${world.own.board}/members/${people[role].userId}`, { role });
    }
    world.scriptKey = (await people.editor.must<{ key: string }>(201, 'POST', '/api-keys', { name: 'script' })).key;
    world.secrets.add(world.scriptKey);
    return world;
  }

  place(side: Side): Place {
    return side === 'own' ? this.own : this.foreign;
  }

  /** The person that a principal is, or speaks for; nobody is anybody, and an agent is nobody. */
  person(who: Principal): TestUser {
    if (who === 'anonymous' || who === 'agent') return this.people.extra;
    if (who === 'expired') return this.people.owner;
    return this.people[who === 'script' ? 'editor' : who];
  }

  /** What the principal sends as its bearer token; undefined for nobody. */
  token(who: Principal | Person): string | undefined {
    if (who === 'anonymous') return undefined;
    if (who === 'agent') return this.own.key;
    if (who === 'script') return this.scriptKey;
    if (who === 'expired') return forge(this.people.owner.token, { exp: Math.floor(Date.now() / 1000) - 60 });
    return this.people[who].token;
  }

  /** Signs a person in again, for tests that end their sign-ins. */
  async signIn({ tokens }: TestUser): Promise<void> {
    const body = { username: tokens?.user.username, password: PASSWORD };
    const { json } = await this.ask({ method: 'POST', path: '/api/v1/auth/login', body });
    Object.assign(tokens!, json);
  }

  /** A name that nothing has yet. */
  name(prefix = 'n'): string {
    return `${prefix}-${++this.made}`;
  }

  /** Notes every token, key and ticket that an answer holds. */
  keepSecrets(body: unknown): void {
    if (typeof body !== 'object' || body === null) return;
    for (const [field, value] of Object.entries(body)) {
      const isSecret = /^(access_token|refresh_token|key|ticket|token|secret)$/.test(field);
      if (isSecret && typeof value === 'string' && value.length >= 16) this.secrets.add(value);
      else this.keepSecrets(value);
    }
  }

  /** Asks, and notes the secrets of the answer. */
  async ask(request: Parameters<RawHttp['json']>[0]): Promise<RawAnswer> {
    const answer = await this.http.json(request);
    this.keepSecrets(answer.json);
    return answer;
  }

  async dispose(): Promise<void> {
    this.http.close();
    await this.server.kill();
    await this.endAgents();
    await this.database.end();
    await this.server.dispose();
  }

  /** Agents outlive their server, so those of a test have to be ended one by one. */
  private async endAgents(): Promise<void> {
    const { rows } = await this.database.query<{ id: string }>(
      `select id from agent_instances where status = 'RUNNING'`,
    );
    for (const { id } of rows) {
      const group = Number(readFileSync(join(this.server.home, 'runs', id, 'pid'), 'utf8'));
      if (isAlive(group)) process.kill(-group, 'SIGKILL');
    }
  }

  private async settle(owner: TestUser): Promise<Place> {
    const board = await owner.createBoard();
    const run = async (agent_type: string) => {
      const { id } = await owner.createTask(board, { agent_type });
      await owner.must(202, 'POST', `/orchestrator/tasks/${id}/start`, {});
      return id;
    };
    const done = await run(WORKER);
    const { run_id: doneRun, agent_instance_id: worker } = await owner.untilRun(done, ['COMPLETED']);
    const { artifacts } = await owner.must<{ artifacts: { id: string }[] }>(
      ...([200, 'GET', `/orchestrator/tasks/${done}/artifacts`] as const),
    );
    const task = await run(WAITER);
    const { run_id, agent_instance_id } = await owner.untilRun(task, ['RUNNING']);
    if (!doneRun || !worker || !artifacts[0] || !run_id || !agent_instance_id) throw new Error('a run lacks something');
    const key = await until('the key of the agent', () => this.keyOf(agent_instance_id));
    this.secrets.add(key);
    const finished = { task: done, run: doneRun, agent: worker, artifact: artifacts[0].id };
    return { board, owner, task, run: run_id, agent: agent_instance_id, key, finished };
  }

  /** The key of an agent that runs. */
  keyOf(agentId: string): string {
    return readFileSync(join(this.server.home, 'runs', agentId, 'api-key'), 'utf8').trim();
  }
}

/** The token with other claims (or header), signed with the server's own secret. */
export function forge(token: string, claims: object, header: object = {}, secret = JWT_SECRET): string {
  const [head = '', body = ''] = token.split('.');
  const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode({ ...decode(head), ...header })}.${encode({ ...decode(body), ...claims })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
