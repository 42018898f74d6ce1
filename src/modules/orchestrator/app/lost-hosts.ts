import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { LostRuns } from './lost-runs.js';
import { HEARTBEAT_MS } from './run-rows.js';

const LOOK_MS = 5_000;
/**
 * How long this process has to have seen a host silent, by its own eyes and without a gap. A heartbeat that is old says
 * little by itself: when a database comes back that was away, all of them are. By then each host has had three chances.
 */
const WATCHED_MS = 3 * HEARTBEAT_MS;
/** A look that comes this much later than it should: we were frozen, or cut off, and have seen nothing of that time. */
const GAP_MS = 2 * LOOK_MS;

/** Notices hosts that are dead, and ends what ran there, so that it is tried elsewhere. */
@Injectable()
export class LostHosts implements OnModuleInit, Worker {
  readonly name = 'lost-hosts';
  readonly roles = ['orchestrator'] as const;
  private readonly logger = new Logger(LostHosts.name);
  private readonly loop = new BackgroundLoop(LostHosts.name, LOOK_MS, () => this.round());
  /** Since when each silent host was seen so, in this process's milliseconds. */
  private silent = new Map<string, number>();
  private lookedAt = -Infinity;

  constructor(
    private readonly runs: LostRuns,
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
    for (const host_id of await this.look(performance.now())) {
      this.logger.warn({ host_id }, 'a host is dead: its runs end as lost');
      await this.runs.endAll(host_id);
    }
    return LOOK_MS;
  }

  /** Hosts that count as dead now, in this process's milliseconds. */
  async look(now: number): Promise<string[]> {
    if (now - this.lookedAt > GAP_MS) this.silent.clear();
    this.lookedAt = now; // a look that fails leaves a gap, if the next one is late
    const before = this.silent;
    this.silent = new Map();
    const hosts = await this.runs.silentHosts();
    this.silent = new Map(hosts.map((id) => [id, before.get(id) ?? now]));
    return hosts.filter((id) => now - (this.silent.get(id) ?? now) >= WATCHED_MS);
  }
}
