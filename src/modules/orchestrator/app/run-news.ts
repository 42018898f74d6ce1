import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { MikroORM } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DispatchSignal } from './dispatch-signal.js';

const CHANNEL = 'kandev_runs';
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

/**
 * Hears from PostgreSQL, whichever process has written it, that a run was queued, or is wanted otherwise than it is. Only
 * a hint: the slow polls serve while the connection is away, and what was told meanwhile is found by them.
 */
@Injectable()
export class RunNews implements OnModuleInit, Worker {
  readonly name = 'run-news';
  readonly roles = ['runner'] as const;
  private readonly logger = new Logger(RunNews.name);
  private readonly leaving = new AbortController();
  private readonly listeners: ((runId: string) => void)[] = [];
  private running: Promise<void> | undefined;

  constructor(
    private readonly orm: MikroORM,
    private readonly dispatchSignal: DispatchSignal,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  /** Calls `listener` with the id of each run that is wanted otherwise: stopped, paused, resumed. */
  onWish(listener: (runId: string) => void): void {
    this.listeners.push(listener);
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
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      try {
        await this.listen(signal);
        pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        this.logger.warn({ err: error }, 'news of runs can not be heard; polls serve until they can');
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Until the connection ends or the server leaves. The connection is never the pool's again. */
  private async listen(signal: AbortSignal): Promise<void> {
    const pool: Pool = await this.orm.em.getConnection().getNativeClient();
    const client = await pool.connect();
    const ended = Promise.withResolvers<void>();
    const end = (): void => ended.resolve();
    client.on('end', end).on('error', end);
    client.on('notification', ({ payload }) => this.hear(payload ?? ''));
    signal.addEventListener('abort', end, { once: true });
    try {
      await client.query(`listen ${CHANNEL}`);
      if (signal.aborted) return;
      this.dispatchSignal.ring(); // for what was queued while nobody listened
      await ended.promise;
    } finally {
      signal.removeEventListener('abort', end);
      client.release(true);
    }
  }

  private hear(runId: string): void {
    if (runId === '') this.dispatchSignal.ring();
    else for (const listener of this.listeners) listener(runId);
  }
}
