import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { Metrics } from '../../../common/ops/metrics.js';
import type { SegmentTable } from './segment-tables.js';

/** What is measured of the stored messages. */
@Injectable()
export class SegmentMetrics {
  private readonly segments: Gauge;
  private readonly bytes: Gauge;
  private readonly age: Gauge;
  private readonly removed: Counter;

  constructor({ registry }: Metrics) {
    const named = (name: string, help: string) => ({ name: `kandev_${name}`, help, registers: [registry] });
    this.segments = new Gauge(named('message_segments', 'Segments that hold messages.'));
    this.bytes = new Gauge(named('message_bytes', 'Bytes of all messages in the database, with their indexes.'));
    this.age = new Gauge(
      named('message_oldest_age_seconds', 'Age of the oldest segment, and so at most of the oldest message.'),
    );
    this.removed = new Counter(named('message_segments_removed_total', 'Segments that retention has removed.'));
  }

  /** All segments that count, the oldest first. */
  seen(segments: readonly SegmentTable[]): void {
    this.segments.set(segments.length);
    this.bytes.set(segments.reduce((sum, { bytes }) => sum + bytes, 0));
    this.age.set((segments[0]?.opened_ms_ago ?? 0) / 1000);
  }

  wasRemoved(): void {
    this.removed.inc();
  }
}
