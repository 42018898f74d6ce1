import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { LostRuns, type WatchedHost } from './lost-runs.js';
import { HEARTBEAT_MS } from './run-rows.js';

const LOOK_MS = 5_000;
/**
 * How long this process has to have seen a host silent, by its own eyes and without a gap. A heartbeat that is old says
 * little by itself: when a database comes back that was away, all of them are. By then each host has had three chances.
 * It is also what a host has that was cut off, to pause its agents: see SelfFence.
 */
const WATCHED_MS = 3 * HEARTBEAT_MS;
/** A look that comes this much later than it should: we were frozen, or cut off, and have seen nothing of that time. */
const GAP_MS = 2 * LOOK_MS;

/** What this process has seen of a host; times in its milliseconds. */
interface Seen {
  heartbeat_ms: number | null;
  /** When it was seen to live; null where it never was. */
  livedAt: number | null;
  /** Since when it is silent for too long; null while it is not. */
  silentSince: number | null;
}

/** Notices hosts that are dead, and ends what ran there, so that it is tried elsewhere. */
@Injectable()
export class LostHosts implements OnModuleInit, Worker {
  readonly name = 'lost-hosts';
  readonly roles = ['orchestrator'] as const;
  private readonly logger = new Logger(LostHosts.name);
  private readonly loop = new BackgroundLoop(LostHosts.name, LOOK_MS, () => this.round());
  private seen = new Map<string, Seen>();
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
    if (now - this.lookedAt > GAP_MS) this.seen.clear();
    this.lookedAt = now; // a look that fails leaves a gap, if the next one is late
    const before = this.seen;
    this.seen = new Map();
    const hosts = await this.runs.hosts();
    this.seen = new Map(hosts.map((host) => [host.host_id, seenNow(host, before.get(host.host_id), now)]));
    return hosts.map(({ host_id }) => host_id).filter((id) => this.isDead(this.seen.get(id), now));
  }

  /** Also by our own clock, if it was seen to live: PostgreSQL's may have been set forward meanwhile. */
  private isDead(seen: Seen | undefined, now: number): boolean {
    if (seen?.silentSince == null || now - seen.silentSince < WATCHED_MS) return false;
    return seen.livedAt === null || now - seen.livedAt >= this.runs.lostMs + WATCHED_MS;
  }
}

function seenNow({ heartbeat_ms, is_silent }: WatchedHost, before: Seen | undefined, now: number): Seen {
  return {
    heartbeat_ms,
    livedAt: livedAt(heartbeat_ms, before, now),
    silentSince: is_silent ? (before?.silentSince ?? now) : null,
  };
}

/** A heartbeat that is newer than the one before was sent since; one that is older is somebody's doing, and tells nothing. */
function livedAt(heartbeat_ms: number | null, before: Seen | undefined, now: number): number | null {
  if (heartbeat_ms === null || before?.heartbeat_ms == null || heartbeat_ms < before.heartbeat_ms) return null;
  return heartbeat_ms > before.heartbeat_ms ? now : before.livedAt;
}
