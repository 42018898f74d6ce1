import { Logger } from '@nestjs/common';
import { NotYet, type DeliveredEvent, type OutboxHandler, type OutboxHandlers } from './outbox-handlers.js';

/**
 * How long an event waits for one of its handlers. A few statements take milliseconds; longer than this one waits for a
 * lock, or for an answer that does not come. Shorter than PostgreSQL lets a transaction stand idle, as the relay's does.
 */
export const HANDLER_MS = 5_000;
/** Ends of calls that came too late for their event, which comes again within a minute or so, or elsewhere. */
const MAX_LATE = 1_000;

/** A call that has outlasted its time: still at it, or done since. */
type Late = 'running' | 'done';

/**
 * Gives events to their handlers. A handler that takes longer than {@link HANDLER_MS} is left to itself, and the event
 * comes again: it is not called a second time while the first call is at it, and not at all if that has ended well.
 */
export class EventDelivery {
  private readonly logger = new Logger(EventDelivery.name);
  private readonly late = new Map<string, Late>();

  constructor(
    private readonly handlers: OutboxHandlers,
    private readonly handlerMs: number,
  ) {}

  /**
   * To every handler, also when one before it has failed: what that can't do now is no reason to keep it from others.
   * `tick` is called after one that took its time. True: all of them have had it.
   */
  async deliver(event: DeliveredEvent, tick: () => Promise<unknown>): Promise<boolean> {
    let done = true;
    for (const [index, handle] of this.handlers.for(event.topic).entries()) {
      const how = await this.call(event, handle, index);
      if (how !== 'done') done = false;
      if (how === 'late') await tick();
    }
    return done;
  }

  private async call(event: DeliveredEvent, handle: OutboxHandler, index: number): Promise<'done' | 'failed' | 'late'> {
    const key = `${event.id} ${index}`;
    const before = this.late.get(key);
    if (before === 'running') {
      this.logger.error(
        about(event),
        'an event handler is still at an event that it has had before; it waits for that',
      );
      return 'failed';
    }
    if (this.late.delete(key)) return 'done';
    const call = handle(event);
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

  /** Others do not wait for it any more; how it ends is for when the event comes again. */
  private leave(event: DeliveredEvent, key: string, call: Promise<void>): void {
    const seconds = this.handlerMs / 1000;
    this.logger.error(
      about(event),
      `an event handler takes longer than ${seconds} s; others go on, and it is asked again`,
    );
    if (this.late.size >= MAX_LATE) this.late.delete(this.late.keys().next().value ?? '');
    this.late.set(key, 'running');
    call.then(
      () => void (this.late.has(key) && this.late.set(key, 'done')),
      (error: unknown) => {
        this.late.delete(key);
        this.tell(event, error);
      },
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
