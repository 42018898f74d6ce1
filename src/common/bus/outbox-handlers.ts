import { Injectable } from '@nestjs/common';

/** An event as handlers get it. */
export interface DeliveredEvent {
  id: string;
  topic: string;
  aggregate_id: string;
  aggregate_seq: number;
  timestamp: string;
  data: Record<string, unknown>;
}

export type OutboxHandler = (event: DeliveredEvent) => Promise<void>;

/** For a handler that has to wait for what ends by itself: the event comes again soon, and nobody is alarmed. */
export class NotYet extends Error {}

/**
 * Who wants which topics. Modules subscribe while they are initialised; the relay awaits every handler before it
 * lets go of an event, so a handler that throws or is killed gets the event again: handlers must be idempotent.
 */
@Injectable()
export class OutboxHandlers {
  private readonly byTopic = new Map<string, OutboxHandler[]>();

  on(topic: string, handler: OutboxHandler): void {
    this.byTopic.set(topic, [...(this.byTopic.get(topic) ?? []), handler]);
  }

  for(topic: string): readonly OutboxHandler[] {
    return this.byTopic.get(topic) ?? [];
  }
}
