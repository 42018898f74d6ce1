import { DomainError } from '../../../common/errors/domain-error.js';

/** What a queue needs of its connection. */
export interface RequestGate {
  /** Resolves when the client has taken what it was sent. */
  room(): Promise<void>;
  /** Too many requests wait. */
  overrun(): void;
  /** Counts a request that the client has sent. @throws DomainError when there were too many */
  count?(): Promise<void>;
}

/**
 * Runs the requests of one connection one after the other, each when the answers before it are on their way: a client
 * that asks without reading stops at the limit instead of filling our memory.
 */
export class RequestQueue {
  private last: Promise<unknown> = Promise.resolve();
  private pending = 0;

  constructor(
    private readonly limit: number,
    private readonly gate: RequestGate,
  ) {}

  /** A request of the client: counted, then run in its turn. @throws DomainError `request.too_many`, and as {@link run} */
  async ask<T>(work: () => Promise<T>): Promise<T> {
    return this.run(async () => {
      await this.gate.count?.();
      return work();
    });
  }

  /** @throws DomainError `stream.too_many_requests`; else whatever the work throws */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.pending >= this.limit) {
      this.gate.overrun();
      const text = `Wait for answers: ${this.limit} requests of this connection are pending already.`;
      throw new DomainError('too_many_requests', 'stream.too_many_requests', text);
    }
    this.pending++;
    const result = this.last.then(async () => this.gate.room()).then(work);
    this.last = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      this.pending--;
    }
  }
}
