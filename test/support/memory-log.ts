import { randomUUID } from 'node:crypto';
import { setImmediate as tick } from 'node:timers/promises';
import { LOG_LEVELS } from '../../src/common/acp/acp-message.js';
import { wireJson, type StoredMessage } from '../../src/common/acp/stored-message.js';
import type { Actor } from '../../src/common/auth/actor.js';
import { notFound } from '../../src/common/errors/domain-error.js';
import {
  GetStreamHeadsQuery,
  ReadMessagesQuery,
  ReadReplayQuery,
  type MessagePage,
} from '../../src/modules/agent/contracts/agent.queries.js';
import { FindRunQuery } from '../../src/modules/orchestrator/contracts/run.queries.js';
import { passes } from '../../src/modules/streaming/domain/message-filter.js';
import {
  AuthorizeBoardQuery,
  FindVisibleTasksQuery,
  ListVisibleBoardsQuery,
} from '../../src/modules/task/contracts/task.queries.js';

/** Random numbers that come again with the same seed (mulberry32). */
export class Random {
  constructor(private state: number) {}

  /** 0 ≤ n < 1 */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

/** Boards, tasks and their logs in memory; answers the queries of the streams after random delays, or not at all. */
export class MemoryLog {
  readonly random: Random;
  readonly boardOf = new Map<string, string>();
  readonly members = new Map<string, Set<string>>();
  /** Queries by name, to see what a reader costs. */
  readonly asked = new Map<string, number>();
  failureRate = 0;
  /** Whether messages are of all types and levels, as chance will have it, or logs of level info. */
  mixed = false;
  /** Messages that are looked at for one filtered page. */
  lookedAt = 20_000;
  /** Nothing is answered while this is pending. */
  held: Promise<unknown> | undefined;
  /** How many questions wait for it. */
  waiting = 0;
  private readonly log = new Map<string, StoredMessage[]>();
  /** By task the first message that retention has left. */
  private readonly first = new Map<string, number>();

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  addBoard(...members: string[]): string {
    const id = randomUUID();
    this.members.set(id, new Set(members));
    return id;
  }

  addTask(boardId: string): string {
    const id = randomUUID();
    this.boardOf.set(id, boardId);
    return id;
  }

  head(taskId: string): number {
    return this.history(taskId).length;
  }

  /** Stores messages; whoever gets them back may pass them to {@link StreamHub.appended}, or forget to. */
  append(taskId: string, count: number): StoredMessage[] {
    const head = this.head(taskId);
    const messages = Array.from({ length: count }, (_, i): StoredMessage => {
      const data = JSON.stringify({ message: 'x'.repeat(this.random.below(200)) });
      const seq = head + i + 1;
      const origin = { agent_id: 'agent', task_id: taskId, run_id: 'run' };
      const type = this.mixed ? this.random.pick(['log', 'log', 'log', 'progress', 'error'] as const) : 'log';
      const level = {
        log: this.mixed ? this.random.pick(LOG_LEVELS) : ('info' as const),
        progress: null,
        error: 'error' as const,
      }[type];
      const json = wireJson({ type, timestamp: new Date(0).toISOString(), ...origin, seq }, data);
      return { seq, type, level, json };
    });
    const log = this.log.get(taskId);
    if (log) log.push(...messages);
    else this.log.set(taskId, [...messages]);
    return messages;
  }

  /** All that was ever stored, in order, kept or not. */
  history(taskId: string): readonly StoredMessage[] {
    return this.log.get(taskId) ?? [];
  }

  /** Retention: forgets everything below `firstSeq`. */
  forget(taskId: string, firstSeq: number): void {
    this.first.set(taskId, Math.max(firstSeq, this.first.get(taskId) ?? 1));
  }

  async answer(query: object): Promise<unknown> {
    const { name } = query.constructor;
    this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
    await this.released();
    await ticks(this.random.below(4));
    if (this.random.chance(this.failureRate)) throw new Error('the database is away');
    const answer = this.look(query); // what a transaction sees at some moment between question and answer
    await ticks(this.random.below(4));
    return answer;
  }

  /** Waits as long as answers are held back. */
  async released(): Promise<void> {
    this.waiting++;
    if (this.held) await this.held;
    this.waiting--;
  }

  private look(query: object): unknown {
    if (query instanceof ReadMessagesQuery) {
      return this.page(query);
    }
    if (query instanceof GetStreamHeadsQuery) {
      return query.task_ids.map((task_id) => {
        const head_seq = this.head(task_id);
        return { task_id, head_seq, first_seq: this.firstKept(task_id) };
      });
    }
    if (query instanceof ListVisibleBoardsQuery) {
      if (query.actor.role !== 'member') return 'all';
      return [...this.members.keys()].filter((board) => this.maySee(query.actor, board));
    }
    if (query instanceof AuthorizeBoardQuery) {
      if (!this.members.has(query.board_id) || !this.maySee(query.actor, query.board_id)) throw notFound('board');
      return { board_id: query.board_id };
    }
    if (query instanceof FindVisibleTasksQuery) {
      const { board_ids } = query.filter;
      const task_ids = query.filter.task_ids && new Set(query.filter.task_ids);
      return [...this.boardOf]
        .map(([task_id, board_id]) => ({ task_id, board_id }))
        .filter(({ board_id }) => this.maySee(query.actor, board_id))
        .filter(({ task_id }) => task_ids?.has(task_id) ?? true)
        .filter(({ board_id }) => board_ids?.includes(board_id) ?? true);
    }
    if (query instanceof FindRunQuery) return { run_id: query.task_id, state: 'COMPLETED', is_live: false };
    if (query instanceof ReadReplayQuery) {
      const kept = this.history(query.run_id).map((message) => ({ ...message, stored_at_ms: 0 }));
      const messages = kept.filter(({ seq }) => seq > query.after_seq).slice(0, query.limit);
      return { messages, last_seq: kept.length, kept_from: 1 };
    }
    throw new Error(`nobody answers ${query.constructor.name}`);
  }

  /** As the database reads: a filtered page looks at so many messages, and says nothing where some are gone. */
  private page({ task_id, after_seq, limit, filter }: ReadMessagesQuery): MessagePage {
    const log = this.history(task_id);
    const from = Math.max(after_seq, this.firstKept(task_id) - 1);
    if (!filter) {
      const messages = log.slice(from, from + limit);
      return { messages, through_seq: messages.at(-1)?.seq ?? after_seq };
    }
    if (from > after_seq) return { messages: [], through_seq: after_seq };
    const looked = log.slice(from, from + this.lookedAt);
    const messages = looked.filter((message) => passes(filter, message)).slice(0, limit);
    const last = messages.length === limit ? messages.at(-1) : looked.at(-1);
    return { messages, through_seq: last?.seq ?? after_seq };
  }

  /** The first message that is kept; the one after the last where none is, and 0 where there never was one. */
  firstKept(taskId: string): number {
    const head = this.head(taskId);
    return head === 0 ? 0 : Math.min(this.first.get(taskId) ?? 1, head + 1);
  }

  private maySee({ role, user_id }: Actor, boardId: string): boolean {
    return role !== 'member' || (this.members.get(boardId)?.has(user_id ?? '') ?? false);
  }
}

/** Lets the event loop turn `count` times. */
export async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await tick();
}

/** Waits until `check` holds. @throws Error with `what` after two seconds */
export async function eventually(what: string, check: () => boolean): Promise<void> {
  for (const end = Date.now() + 2_000; !check(); await ticks(1)) {
    if (Date.now() > end) throw new Error(`not within two seconds: ${what}`);
  }
}
