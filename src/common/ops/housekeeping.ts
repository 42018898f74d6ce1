import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { WakeUp } from '../bus/wake-up.js';
import { Workers, type Worker } from './workers.js';

/** Small work that comes back: removing what has expired, merging counters. */
export interface Chore {
  readonly name: string;
  /** Milliseconds from its end to its next start. */
  readonly everyMs: number;
  run(): Promise<void>;
}

const IDLE_MS = 60_000;

/** Does the modules' chores, one after the other: none is urgent, and all of them together need one connection. */
@Injectable()
export class Housekeeping implements OnModuleInit, Worker {
  readonly name = 'housekeeping';
  private readonly logger = new Logger(Housekeeping.name);
  private readonly bell = new WakeUp();
  private readonly chores: { chore: Chore; due: number }[] = [];
  private running: Promise<void> | undefined;
  private stopping = false;

  constructor(private readonly workers: Workers) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  /** To be called while modules are initialised. */
  add(chore: Chore): void {
    this.chores.push({ chore, due: 0 });
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.bell.ring();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      for (const entry of this.chores) {
        if (this.stopping || entry.due > performance.now()) continue;
        await this.runOne(entry.chore);
        entry.due = performance.now() + entry.chore.everyMs;
      }
      const next = Math.min(...this.chores.map(({ due }) => due));
      if (!this.stopping) await this.bell.wait(Math.min(IDLE_MS, Math.max(1, next - performance.now())));
    }
  }

  private async runOne(chore: Chore): Promise<void> {
    await chore.run().catch((error: unknown) => {
      this.logger.warn({ err: error, chore: chore.name }, 'housekeeping failed; again later');
    });
  }
}
