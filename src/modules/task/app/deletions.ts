import { Injectable } from '@nestjs/common';

/**
 * Runs one deletion after the other. Each holds a database connection while it asks the orchestrator, on a second
 * one, about live runs: as many at once as the pool has connections would wait for each other for ever.
 */
@Injectable()
export class Deletions {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}
