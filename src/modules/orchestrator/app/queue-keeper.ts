import { Injectable, type OnModuleInit } from '@nestjs/common';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DispatchSignal } from './dispatch-signal.js';
import { QueueUpkeep } from './queue-upkeep.js';
import { RunWaits } from './run-waits.js';

const EVERY_MS = 5_000;
const THOROUGH_EVERY = 12; // rounds, a minute: what only saves work, or repairs what should not have happened
const SOONEST_MS = 100; // a clock that runs ahead of PostgreSQL's must not make this a busy loop

/** Looks after the queue as a whole: what is parked, what agents take, who waits, which dependencies are open. */
@Injectable()
export class QueueKeeper implements OnModuleInit, Worker {
  readonly name = 'queue-keeper';
  readonly roles = ['orchestrator'] as const;
  private rounds = 0;
  private readonly loop = new BackgroundLoop(QueueKeeper.name, EVERY_MS, () => this.round());
  /** When the whole queue is looked at again, by the clock that only goes on. */
  private wholeAt = 0;

  constructor(
    private readonly upkeep: QueueUpkeep,
    private readonly waits: RunWaits,
    private readonly signal: DispatchSignal,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.loop.start();
  }

  async stop(): Promise<void> {
    await this.loop.stop();
    await this.upkeep.leave();
  }

  /** A run was parked a moment ago: its time may come before the next round. */
  parked(): void {
    this.loop.ring();
  }

  private async round(): Promise<number> {
    const woken = performance.now() < this.wholeAt ? 0 : await this.wholeQueue();
    const { unparked, next_ms } = await this.upkeep.unpark();
    if (unparked > 0 || woken > 0) this.signal.ring();
    const restMs = Math.min(next_ms ?? EVERY_MS, this.wholeAt - performance.now());
    return Math.min(EVERY_MS, Math.max(SOONEST_MS, restMs));
  }

  /** Not with each run whose time has come: those may be many. */
  private async wholeQueue(): Promise<number> {
    await this.upkeep.beat();
    let woken = 0;
    if (this.rounds++ % THOROUGH_EVERY === 0) {
      await this.upkeep.recopyNeeds();
      woken = await this.upkeep.alignShares();
    } else await this.upkeep.copyNeeds();
    await this.waits.reviewSome();
    this.wholeAt = performance.now() + EVERY_MS;
    return woken;
  }
}
