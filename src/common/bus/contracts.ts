import { Command, Query } from '@nestjs/cqrs';

/** Base classes of what modules send each other. Fields are JSON-safe: a contract may travel to another process. */
export { Command, Query };

/**
 * Something that happened to an aggregate, told to other modules through the outbox: written in the transaction of
 * the change, delivered at least once. Whoever handles it reads the current rows, so that order and repetition do
 * not matter.
 */
export abstract class DomainEvent<T extends object = object> {
  /** Name on the bus, such as `task.state_changed`. */
  abstract readonly topic: string;

  constructor(
    /** Id of the row that changed. */
    readonly aggregate_id: string,
    /** The row's version after the change: 1, 2, 3 … per aggregate. */
    readonly aggregate_seq: number,
    readonly data: T,
  ) {}
}
