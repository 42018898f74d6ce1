import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { sql, type Kysely } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Housekeeping } from '../../../common/ops/housekeeping.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { StreamDB } from './message-log.js';
import { SegmentMetrics } from './segment-metrics.js';
import {
  listSegments,
  markGoing,
  prepareSegment,
  removeSegment,
  rollSegment,
  type SegmentTable,
} from './segment-tables.js';

const EVERY_MS = 15_000; // a flood of 40 MB/s is half a gigabyte further then
const DAY_MS = 86_400_000;
/** A message stays at most this much longer than it has to. */
const MAX_SPAN_MS = DAY_MS;
/** Small enough to be removed in a moment, large enough that a terabyte has some thousand of them. */
const MAX_SEGMENT_BYTES = 256 * 1024 * 1024;
const MIN_SEGMENT_BYTES = 1024 * 1024;
/** With a limit in bytes this part of it goes at a time. */
const PARTS = 20;
/** Longer than a search may take. What is under way for longer is waited for in later turns; nobody waits meanwhile. */
const LOCK_TIMEOUT_MS = 6_000;
/** Advisory lock of the server that does this; the number is "segmen" in ASCII. */
const LOCK = 0x73_65_67_6d_65_6e;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Begins new segments and removes old ones. Each step is one statement after which everything is in order, and each
 * turn looks at what is there: wherever it is killed, the next turn goes on, on whatever server.
 */
@Injectable()
export class MessageRetention implements OnModuleInit {
  private readonly logger = new Logger(MessageRetention.name);
  /** Tests have less time. */
  lockTimeoutMs = LOCK_TIMEOUT_MS;
  private readonly limits: { days: number; bytes: number; segment_bytes: number };

  constructor(
    private readonly transactions: Transactions,
    private readonly housekeeping: Housekeeping,
    private readonly metrics: SegmentMetrics,
    @Inject(CONFIG) { stream }: Pick<Config, 'stream'>,
  ) {
    const { retention_days: days, retention_bytes: bytes } = stream;
    const part = Math.max(MIN_SEGMENT_BYTES, Math.floor(bytes / PARTS));
    this.limits = { days, bytes, segment_bytes: bytes === 0 ? MAX_SEGMENT_BYTES : Math.min(MAX_SEGMENT_BYTES, part) };
  }

  onModuleInit(): void {
    this.housekeeping.add({ name: 'message segments', everyMs: EVERY_MS, run: () => this.run() });
  }

  /** One turn. Returns at once while another server is at it, or while somebody else holds what it needs. */
  async run(): Promise<void> {
    await this.transactions
      .kysely<StreamDB>()
      .connection()
      .execute(async (db) => {
        const { rows } = await sql<{ mine: boolean }>`select pg_try_advisory_lock(${LOCK}) as mine`.execute(db);
        if (!rows[0]?.mine) return this.metrics.seen(inUse(await listSegments(db)));
        try {
          await sql`set lock_timeout = ${sql.lit(this.lockTimeoutMs)}`.execute(db);
          await this.turn(db);
        } catch (error) {
          if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
          this.logger.debug('segments of messages are in use; again later');
        } finally {
          // A connection that is broken has let go of both.
          await sql`select pg_advisory_unlock(${LOCK}), set_config('lock_timeout', reset_val, false)
          from pg_settings where name = 'lock_timeout'`
            .execute(db)
            .catch(() => undefined);
        }
      });
  }

  private async turn(db: Kysely<StreamDB>): Promise<void> {
    const before = await listSegments(db);
    await this.roll(db, before);
    const segments = await listSegments(db);
    // Never; but by the open segment it is told which tables are to go.
    if (!segments.some(({ state }) => state === 'open')) throw new Error('there is no open segment for messages');
    for (const segment of segments) if (segment.state === 'going') await removeSegment(db, segment);
    const kept = inUse(segments);
    const closed = before.filter(({ state }) => state === 'closed').map(({ segment }) => segment);
    const expired = this.expired(kept, new Set(closed));
    for (const segment of expired) await this.remove(db, segment);
    this.metrics.seen(kept.slice(expired.length));
  }

  /**
   * The next segment stands ready for at least a turn before it is used: a statement that began before it was there
   * could not write to it.
   */
  private async roll(db: Kysely<StreamDB>, segments: readonly SegmentTable[]): Promise<void> {
    const open = segments.find(({ state }) => state === 'open');
    if (!open) return;
    const isReady = (n: number) => segments.some(({ segment, attached }) => segment === n && attached === 'yes');
    const next = open.segment + 1;
    if (!isReady(next)) return prepareSegment(db, next);
    if (!(await this.isDue(db, open))) return;
    await rollSegment(db, open.segment);
    await prepareSegment(db, next + 1);
  }

  private async isDue(db: Kysely<StreamDB>, { segment, bytes, opened_ms_ago }: SegmentTable): Promise<boolean> {
    if (bytes > this.limits.segment_bytes) return true;
    if (opened_ms_ago < MAX_SPAN_MS) return false;
    const { rows } = await sql`select from acp_messages where segment = ${segment} limit 1`.execute(db);
    return rows.length > 0;
  }

  /**
   * Those of the closed segments that are to go: always the oldest, so that what is kept of a stream is its end. By size
   * only those in `closed`, closed before this turn: what was written a moment ago can be read for a turn at least.
   */
  private expired(kept: readonly SegmentTable[], closed: ReadonlySet<number>): SegmentTable[] {
    let bytes = kept.reduce((sum, segment) => sum + segment.bytes, 0);
    const expired: SegmentTable[] = [];
    for (const segment of kept) {
      const { days, bytes: max } = this.limits;
      // No message in it is newer than its end.
      const isOld = days > 0 && (segment.closed_ms_ago ?? 0) > days * DAY_MS;
      const isTooMuch = max > 0 && bytes > max && closed.has(segment.segment);
      if (segment.state !== 'closed' || (!isOld && !isTooMuch)) break;
      bytes -= segment.bytes;
      expired.push(segment);
    }
    return expired;
  }

  private async remove(db: Kysely<StreamDB>, segment: SegmentTable): Promise<void> {
    await markGoing(db, segment.segment);
    await removeSegment(db, segment);
    this.metrics.wasRemoved();
    const { segment: number, bytes, closed_ms_ago } = segment;
    const days = Math.round((closed_ms_ago ?? 0) / DAY_MS);
    this.logger.log({ segment: number, bytes, newest_days: days }, 'messages were removed, as their retention says');
  }
}

function inUse(segments: readonly SegmentTable[]): SegmentTable[] {
  return segments.filter(({ state }) => state === 'open' || state === 'closed');
}
