import { Injectable, type OnModuleInit } from '@nestjs/common';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DispatchSignal } from './dispatch-signal.js';
import { QueueUpkeep } from './queue-upkeep.js';
import { RunWaits } from './run-waits.js';

const EVERY_MS = 5_000;
const SOONEST_MS = 100; // a clock that runs ahead of PostgreSQL's must not make this a busy loop

/** Looks after the queue as a whole: what is parked, what agents take, who waits, which dependencies are open. */
@Injectable()
export class QueueKeeper implements OnModuleInit, Worker {
  readonly name = 'queue-keeper';
  private readonly loop = new BackgroundLoop(QueueKeeper.name, EVERY_MS, () => this.round());

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

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    const { unparked, next_ms } = await this.upkeep.unpark();
    await this.upkeep.copyNeeds();
    await this.upkeep.alignShares();
    await this.waits.reviewSome();
    if (unparked > 0) this.signal.ring();
    return Math.min(EVERY_MS, Math.max(SOONEST_MS, next_ms ?? EVERY_MS));
  }
}
