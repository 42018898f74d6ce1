import { API, as, type BenchUser } from '../lib/api.js';
import { httpRequest, type HttpAnswer, type HttpConnection } from '../lib/http-connection.js';
import { step } from '../lib/progress.js';
import { seededRandom, weighted } from '../lib/random.js';
import { Texts } from './texts.js';

/** Who uses which board. */
export interface Cast {
  board: string;
  owner: BenchUser;
  editor: BenchUser;
  viewer: BenchUser;
  /** Member of no board. */
  outsider: BenchUser;
}

/** Answers by kind of request and status, and how many should not have been. */
export interface Tally {
  requests: number;
  /** `list 200` → how many. */
  statuses: Map<string, number>;
  failures: number;
}

const MOST_TASKS = 40; // of one worker: then it deletes, so that the board keeps its size
const MOST_TOLD = 3; // failures of a kind; the rest is counted

interface OwnTask {
  id: string;
  version: number;
  state: 'TODO' | 'IN_PROGRESS' | 'COMPLETED';
}

const NEXT = { TODO: 'IN_PROGRESS', IN_PROGRESS: 'COMPLETED', COMPLETED: 'TODO' } as const;

/**
 * One client that does a bit of everything. It changes only tasks that it has made itself, so it knows what each answer
 * has to be; a stale ETag, an illegal move and a forbidden write are among what it tries on purpose.
 */
export class SoakClient {
  private readonly random: () => number;
  private readonly texts: Texts;
  private readonly tasks: OwnTask[] = [];

  constructor(
    private readonly connection: HttpConnection,
    private readonly cast: Cast,
    private readonly tally: Tally,
    seed: number,
  ) {
    this.random = seededRandom(seed);
    this.texts = new Texts(this.random);
  }

  /** One request, or a few that belong together. */
  async act(): Promise<void> {
    const task = this.tasks[Math.floor(this.random() * this.tasks.length)];
    if (!task) return this.create();
    if (this.tasks.length >= MOST_TASKS) return this.delete(task);
    await weighted<() => Promise<unknown>>(this.random, [
      [() => this.send('get', 200, 'GET', `/tasks/${task.id}`), 25],
      [() => this.send('list', 200, 'GET', `${this.board}/tasks?limit=50`), 12],
      [
        () => this.send('list, filtered', 200, 'GET', `${this.board}/tasks?state=TODO,IN_PROGRESS&priority=5&limit=20`),
        6,
      ],
      [() => this.send('search', 200, 'GET', `${this.board}/tasks?q=${this.texts.title().split(' ')[0]}&limit=20`), 4],
      [() => this.send('history', 200, 'GET', `/tasks/${task.id}/events`), 6],
      [() => this.send('boards', 200, 'GET', '/boards'), 3],
      [() => this.send('me', 200, 'GET', '/auth/me'), 2],
      [() => this.send('members', 200, 'GET', `${this.board}/members`), 3],
      [() => this.create(), 12],
      [() => this.update(task), 10],
      [() => this.move(task), 8],
      [() => this.delete(task), 6],
      [() => this.refused(task), 3],
    ])();
  }

  private get board(): string {
    return `/boards/${this.cast.board}`;
  }

  private async create(): Promise<void> {
    const body = { title: this.texts.title(), description: this.texts.description(), priority: 5 };
    const made = await this.send('create', 201, 'POST', `${this.board}/tasks`, { body });
    if (made) this.tasks.push({ ...(JSON.parse(made.body) as { id: string; version: number }), state: 'TODO' });
  }

  private async update(task: OwnTask): Promise<void> {
    const headers = { 'If-Match': `"${task.version}"` };
    const body = { title: this.texts.title(), priority: Math.floor(this.random() * 11) };
    const changed = await this.send('update', 200, 'PUT', `/tasks/${task.id}`, { headers, body });
    if (changed) task.version = (JSON.parse(changed.body) as OwnTask).version;
  }

  private async move(task: OwnTask): Promise<void> {
    const body = { state: NEXT[task.state], reason: 'As it goes' };
    const moved = await this.send('move', 200, 'PATCH', `/tasks/${task.id}/state`, { body });
    if (moved) Object.assign(task, JSON.parse(moved.body) as OwnTask);
  }

  private async delete(task: OwnTask): Promise<void> {
    this.tasks.splice(this.tasks.indexOf(task), 1);
    await this.send('delete', 204, 'DELETE', `/tasks/${task.id}`);
    await this.send('get, deleted', 404, 'GET', `/tasks/${task.id}`);
  }

  /** What has to be refused. */
  private async refused(task: OwnTask): Promise<void> {
    const { viewer, outsider } = this.cast;
    const body = { title: 'Not to be' };
    const stale = { 'If-Match': `"${task.version + 1}"` };
    await this.send('update, stale', 412, 'PUT', `/tasks/${task.id}`, { headers: stale, body });
    await this.send('update, viewer', 403, 'PUT', `/tasks/${task.id}`, { user: viewer, body });
    await this.send('get, outsider', 404, 'GET', `/tasks/${task.id}`, { user: outsider });
    await this.send('create, invalid', 400, 'POST', `${this.board}/tasks`, { body: { title: '' } });
    const own = { state: task.state };
    const status = task.state === 'TODO' || task.state === 'COMPLETED' ? 'FAILED' : 'TODO';
    if (own.state === 'TODO')
      await this.send('move, illegal', 409, 'PATCH', `/tasks/${task.id}/state`, { body: { state: status } });
  }

  /** The answer, or undefined when it is not what it has to be. */
  private async send(
    kind: string,
    status: number,
    method: string,
    path: string,
    { user, headers, body }: { user?: BenchUser; headers?: Record<string, string>; body?: object } = {},
  ): Promise<HttpAnswer | undefined> {
    const { owner, editor, viewer } = this.cast;
    const speaker = user ?? (method === 'GET' && this.random() < 0.5 ? viewer : this.random() < 0.5 ? owner : editor);
    const answer = await this.connection.send(httpRequest(method, API + path, { ...as(speaker), ...headers }, body));
    const key = `${kind} ${answer.status}`;
    this.tally.requests++;
    this.tally.statuses.set(key, (this.tally.statuses.get(key) ?? 0) + 1);
    if (answer.status === status) return answer;
    this.tally.failures++;
    if ((this.tally.statuses.get(key) ?? 0) <= MOST_TOLD)
      step(`soak: ${method} ${path}: ${answer.status} instead of ${status}: ${answer.body.slice(0, 500)}`);
    return undefined;
  }
}
