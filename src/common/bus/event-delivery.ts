import { Logger } from '@nestjs/common';
import { NotYet, type DeliveredEvent, type OutboxHandler, type OutboxHandlers } from './outbox-handlers.js';

/**
 * How long an event waits for one of its handlers. A few statements take milliseconds; longer than this one waits for a
 * lock, or for an answer that does not come. Shorter than PostgreSQL lets a transaction stand idle, as the relay's does.
 */
export const HANDLER_MS = 5_000;
/** Good ends of calls that came too late for their event, which comes again within a minute or so, or elsewhere. */
const MAX_LATE = 1_000;
/** A transaction that has stood idle for so long is shown to be alive: several slow handlers make up more than it may. */
const TICK_MS = 500;

/**
 * Gives events to their handlers. A handler that takes longer than {@link HANDLER_MS} is left to itself, and the event
 * comes again: it is not called a second time while the first call is at it, and not at all if that has ended well.
 */
export class EventDelivery {
  private readonly logger = new Logger(EventDelivery.name);
  /** Calls under way, whoever waits for them: a batch that has lost its connection leaves its event to the next one. */
  private readonly running = new Set<string>();
  /** Calls that have ended well after their time. */
  private readonly doneLate = new Set<string>();

  constructor(
    private readonly handlers: OutboxHandlers,
    private readonly handlerMs: number,
  ) {}

  /**
   * To every handler, also when one before it has failed: what that can't do now is no reason to keep it from others.
   * `tick` is called after those that took their time. True: all of them have had it.
   */
  async deliver(event: DeliveredEvent, tick: () => Promise<unknown>): Promise<boolean> {
    let done = true;
    let ticked = performance.now();
    for (const [index, handle] of this.handlers.for(event.topic).entries()) {
      const how = await this.call(event, handle, index);
      if (how !== 'done') done = false;
      if (performance.now() - ticked < TICK_MS) continue;
      await tick();
      ticked = performance.now();
    }
    return done;
  }

  private async call(event: DeliveredEvent, handle: OutboxHandler, index: number): Promise<'done' | 'failed' | 'late'> {
    const key = `${event.id} ${index}`;
    if (this.running.has(key)) {
      this.logger.error(
        about(event),
        'an event handler is still at an event that it has had before; it waits for that',
      );
      return 'failed';
    }
    if (this.doneLate.delete(key)) return 'done';
    const call = this.begin(key, handle, event);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), this.handlerMs);
    });
    try {
      if ((await Promise.race([call, timeout])) !== 'late') return 'done';
    } catch (error) {
      this.tell(event, error);
      return 'failed';
    } finally {
      clearTimeout(timer);
    }
    this.leave(event, key, call);
    return 'late';
  }

  /** Noted before it begins, until it has ended. */
  private async begin(key: string, handle: OutboxHandler, event: DeliveredEvent): Promise<void> {
    this.running.add(key);
    try {
      await handle(event);
    } finally {
      this.running.delete(key);
    }
  }

  /** Others do not wait for it any more; how it ends is for when the event comes again. */
  private leave(event: DeliveredEvent, key: string, call: Promise<void>): void {
    const seconds = this.handlerMs / 1000;
    this.logger.error(
      about(event),
      `an event handler takes longer than ${seconds} s; others go on, and it is asked again`,
    );
    call.then(
      () => {
        if (this.doneLate.size >= MAX_LATE) this.doneLate.delete(this.doneLate.values().next().value ?? '');
        this.doneLate.add(key);
      },
      (error: unknown) => this.tell(event, error),
    );
  }

  private tell(event: DeliveredEvent, error: unknown): void {
    if (error instanceof NotYet) this.logger.debug(`${event.topic} is delivered again: ${error.message}`);
    else this.logger.error({ err: error, ...about(event) }, 'an event handler failed; it gets the event again');
  }
}

function about({ id, topic, aggregate_id }: DeliveredEvent): object {
  return { topic, event_id: id, aggregate_id };
}
