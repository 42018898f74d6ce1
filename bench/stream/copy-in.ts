import type { Connection, Submittable } from 'pg';

/** `COPY … FROM STDIN` of rows that are there, in PostgreSQL's text format; give it to `client.query`. */
export class CopyIn implements Submittable {
  readonly done: Promise<void>;
  private readonly settle: { resolve: () => void; reject: (error: Error) => void };

  constructor(
    private readonly text: string,
    private readonly rows: Buffer,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.settle = { resolve, reject };
  }

  submit(connection: Connection): void {
    connection.query(this.text);
  }

  // What the driver calls, by the messages of PostgreSQL.
  handleCopyInResponse(connection: Connection & { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }): void {
    connection.sendCopyFromChunk(this.rows);
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {
    // the end of the statement; it counts when the server is ready again
  }

  handleReadyForQuery(): void {
    this.settle.resolve();
  }

  handleError(error: Error): void {
    this.settle.reject(error);
  }
}
