import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { MikroORM } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { Pool, PoolClient } from 'pg';
import { Workers, type Worker } from '../ops/workers.js';
import { Transactions } from './transactions.js';

/** First number of the advisory locks that say "somebody listens"; it only has to be ours. */
const LISTENS_LOCK = 0x6b6e_7773;

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
/** How often the connection is asked whether it is still there: one that was cut off without a word tells nothing. */
const CHECK_MS = 10_000;
const ANSWER_MS = 5_000; // a LISTEN takes no time; longer, and nobody is there

/** PostgreSQL takes 7,999, and who speaks needs some. */
export const MAX_NEWS_BYTES = 7_900;

/** A channel of PostgreSQL's NOTIFY. Neither function may throw. */
export interface NewsChannel {
  /** A plain SQL name. */
  name: string;
  /**
   * Where processes {@link DatabaseNews.tell} each other, and only while somebody listens: second number of the lock
   * that says so. Nobody hears themselves.
   */
  listens?: number;
  hear(payload: string): void;
  /** Listening has begun, or begun again: whatever was told before may have been missed. */
  begun(): void;
}

/**
 * Hears what PostgreSQL tells, whichever process has said it, on one connection for all channels. What it brings are
 * hints: while the connection is away, slow polls have to serve.
 */
@Injectable()
export class DatabaseNews implements OnModuleInit, Worker {
  readonly name = 'database-news';
  private readonly logger = new Logger(DatabaseNews.name);
  private readonly leaving = new AbortController();
  private readonly channels = new Map<string, NewsChannel>();
  private running: Promise<void> | undefined;
  /** What goes before what we {@link tell}, as we hear ourselves too. */
  private readonly sender = crypto.randomUUID();
  private pid: number | null = null;

  constructor(
    private readonly orm: MikroORM,
    private readonly transactions: Transactions,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  /** To be called by workers as they start, so that a process listens to what its role needs. One a channel. */
  listen(channel: NewsChannel): void {
    this.channels.set(channel.name, channel);
  }

  /**
   * Tells the texts, of at most {@link MAX_NEWS_BYTES} each, if another process listens to the channel; says whether one does. A
   * transaction by itself, not to be made part of one: each NOTIFY holds all others up while it commits. This one has
   * nothing to write, and so waits for no disk.
   */
  async tell({ name, listens }: { name: string; listens: number }, texts: readonly string[]): Promise<boolean> {
    if (this.leaving.signal.aborted) return false;
    const statement = sql`
      select pg_notify(${name}, ${this.sender} || ' ' || text) from unnest(${texts}::text[]) as text
      where exists (
        select from pg_locks
        where locktype = 'advisory' and classid = ${LISTENS_LOCK} and objid = ${listens} and objsubid = 2
          and database = (select oid from pg_database where datname = current_database())
          and granted and pid is distinct from ${this.pid}::int
      )`;
    const told = await this.transactions.prepared(statement.compile(this.transactions.kysely()));
    return told.length > 0;
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.leaving.abort();
    await this.running;
  }

  private async loop(): Promise<void> {
    const { signal } = this.leaving;
    await nextTurn(); // the other workers start in this one
    if (this.channels.size === 0) return;
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const began = performance.now();
      try {
        await this.serve(signal);
      } catch (error) {
        this.logger.warn({ err: error }, 'what the database tells can not be heard; polls serve until it can');
      }
      if (performance.now() - began > MAX_PAUSE_MS) pauseMs = FIRST_PAUSE_MS;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Until the connection ends or the server leaves. The connection is never the pool's again. */
  private async serve(signal: AbortSignal): Promise<void> {
    const pool: Pool = await this.orm.em.getConnection().getNativeClient();
    const client = await pool.connect();
    const lost = new AbortController();
    const lose = (): void => lost.abort();
    client.on('end', lose).on('error', lose);
    client.on('notification', ({ channel, payload }) => this.hear(channel, payload ?? ''));
    const over = AbortSignal.any([signal, lost.signal]); // aborted from the start, should the server leave already
    try {
      if (!over.aborted) await this.begin(client);
      while (!over.aborted) {
        await sleep(CHECK_MS, undefined, { signal: over }).catch(() => undefined);
        if (!over.aborted) await this.ask(client);
      }
    } finally {
      this.pid = null;
      client.release(true);
    }
  }

  private hear(name: string, payload: string): void {
    const channel = this.channels.get(name);
    if (channel?.listens === undefined) channel?.hear(payload);
    else if (!payload.startsWith(this.sender)) channel.hear(payload.slice(payload.indexOf(' ') + 1));
  }

  /** The lock comes first: who sees none need not speak, as we look for ourselves once we listen. */
  private async begin(client: PoolClient): Promise<void> {
    const locks = [...this.channels.values()].flatMap(({ listens }) => (listens === undefined ? [] : [listens]));
    const text = `select pg_backend_pid() as pid, (
      select count(pg_advisory_lock_shared($1, key)) from unnest($2::int[]) as key)`;
    const { rows } = await client.query<{ pid: number }>(text, [LISTENS_LOCK, locks]);
    this.pid = rows[0]?.pid ?? null;
    await this.ask(client);
    for (const channel of this.channels.values()) channel.begun();
  }

  /** Said again and again, as it changes nothing: no answer, and the connection is gone. */
  private async ask(client: PoolClient): Promise<void> {
    const text = [...this.channels.keys()].map((name) => `listen ${name}`).join('; ');
    // The types know `query_timeout` of connections alone, node-postgres of single queries too.
    const query = { text, query_timeout: ANSWER_MS };
    await client.query(query);
  }
}
