import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { CONFIG } from '../config/config.module.js';
import type { Config } from '../config/config.js';
import { BackgroundLoop } from './background-loop.js';
import { worksIn, type WorkRole } from './roles.js';
import { Workers, type Worker } from './workers.js';

/** Small work that comes back: removing what has expired, merging counters. */
export interface Chore {
  readonly name: string;
  /** In which processes; where it does not say, where the queue is looked after: once for all of them. */
  readonly roles?: readonly WorkRole[];
  /** Milliseconds from its end to its next start. */
  readonly everyMs: number;
  run(): Promise<void>;
}

const IDLE_MS = 60_000;

/** What is on the disk of a host is looked after there. */
export const ON_ITS_HOST: readonly WorkRole[] = ['runner'];

/** Does the modules' chores, one after the other: none is urgent, and all of them together need one connection. */
@Injectable()
export class Housekeeping implements OnModuleInit, Worker {
  readonly name = 'housekeeping';
  private readonly logger = new Logger(Housekeeping.name);
  private readonly loop = new BackgroundLoop(Housekeeping.name, IDLE_MS, () => this.round());
  private readonly chores: { chore: Chore; due: number }[] = [];

  constructor(
    private readonly workers: Workers,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  /** To be called while modules are initialised. */
  add(chore: Chore): void {
    if (!worksIn(this.config.orchestrator.role, chore.roles ?? ['orchestrator'])) return;
    this.chores.push({ chore, due: 0 });
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    for (const entry of this.chores) {
      if (this.loop.isStopping || entry.due > performance.now()) continue;
      await this.runOne(entry.chore);
      entry.due = performance.now() + entry.chore.everyMs;
    }
    const next = Math.min(...this.chores.map(({ due }) => due));
    return Math.min(IDLE_MS, Math.max(1, next - performance.now()));
  }

  private async runOne(chore: Chore): Promise<void> {
    await chore.run().catch((error: unknown) => {
      this.logger.warn({ err: error, chore: chore.name }, 'housekeeping failed; again later');
    });
  }
}
