import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Authenticator } from '../../../common/auth/authenticator.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { MessageFilter } from '../contracts/agent.queries.js';
import { DownloadSlots } from './download-slots.js';
import { MessagePages } from './message-pages.js';

const PAGE = 500; // some 150 KiB of common messages
/** How often a long download asks whether its reader is still signed in and may read. */
const CHECK_MS = 5_000;

/** Which messages of a task. */
export interface DownloadWish extends MessageFilter {
  after_seq: number;
  /** Of this run only. */
  run_id: string | null;
}

/** A download that has begun. */
export interface Download {
  /** Lines of NDJSON, a page each. */
  pieces: AsyncIterable<string>;
  /** To be called when it is over, however it has ended: others may have its place then. */
  release: () => void;
}

/**
 * The messages of a task up to its head at this moment, as lines of NDJSON in pieces of a page each; the next page is
 * read when it is asked for. What retention has removed before is not there. Fails midway rather than leave out what
 * is removed meanwhile, and once the actor is signed out or may not read the task any more.
 * @throws DomainError `download.too_many`, `task.not_found`, `run.not_found` for a run that no agent was started for
 */
export class DownloadMessagesQuery extends Query<Download> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly wish: DownloadWish,
  ) {
    super();
  }
}

@QueryHandler(DownloadMessagesQuery)
export class DownloadMessagesHandler implements IQueryHandler<DownloadMessagesQuery> {
  constructor(
    private readonly pages: MessagePages,
    private readonly queries: QueryBus,
    private readonly slots: DownloadSlots,
    private readonly authenticator: Authenticator,
  ) {}

  async execute(query: DownloadMessagesQuery): Promise<Download> {
    const release = this.slots.take(query.actor);
    try {
      return { pieces: await this.begin(query), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  private async begin({ actor, task_id, wish }: DownloadMessagesQuery): Promise<AsyncIterable<string>> {
    const mayRead = new GetTaskQuery(actor, task_id);
    await this.queries.execute(mayRead);
    const { head_seq, first_seq } = await this.pages.part(task_id, wish.after_seq);
    const [from, to] = await this.bounds(task_id, wish, { first_seq, last_seq: head_seq });
    const check = async (): Promise<void> => {
      const [refused] = await this.authenticator.recheck([actor]);
      if (refused) throw refused;
      await this.queries.execute(mayRead);
    };
    const pieces = this.pieces(task_id, wish, from, to, check);
    const first = await pieces.next(); // what fails at once is an answer of its own
    return first.done ? NOTHING : startingWith(first.value, pieces);
  }

  private async bounds(
    taskId: string,
    { run_id, after_seq }: DownloadWish,
    kept: { first_seq: number; last_seq: number },
  ): Promise<[number, number]> {
    if (run_id === null) return [Math.max(after_seq, kept.first_seq - 1), kept.last_seq];
    const span = await this.pages.spanOf(run_id);
    if (span?.task_id !== taskId) throw notFound('run');
    return [Math.max(after_seq, span.first_seq - 1), span.last_seq];
  }

  private async *pieces(
    task_id: string,
    { types, min_level, run_id }: DownloadWish,
    from: number,
    to_seq: number,
    check: () => Promise<unknown>,
  ): AsyncGenerator<string> {
    const wanted = { task_id, to_seq, limit: PAGE, filter: { types, min_level }, run_id };
    const isWhole = types === null && min_level === null && run_id === null;
    let checkAt = Date.now() + CHECK_MS;
    for (let after_seq = from; after_seq < to_seq;) {
      if (Date.now() > checkAt) {
        await check();
        checkAt = Date.now() + CHECK_MS;
      }
      const { messages, through_seq } = await this.slots.read(() => this.pages.read({ ...wanted, after_seq }));
      if (through_seq === after_seq || (isWhole && messages[0]?.seq !== after_seq + 1))
        throw new Error(`messages after ${after_seq} were removed while they were downloaded`);
      if (messages.length > 0) yield messages.map(({ json }) => `${json}\n`).join('');
      after_seq = through_seq;
    }
  }
}

const NOTHING: AsyncIterable<string> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};

async function* startingWith(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}
