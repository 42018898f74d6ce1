import { once } from 'node:events';
import { WebSocket } from 'ws';

const BYTES_PER_MIB = 1024 * 1024;

/** Makes a Node process listen to an {@link Inspector}, on any free port. */
export const INSPECTABLE = ['--inspect=127.0.0.1:0'];

/** Where the last Node process that wrote this log is to be inspected. */
export function inspectorUrl(log: string): string {
  return log.match(/ws:\/\/127\.0\.0\.1:\d+\/\S+/g)?.at(-1) ?? '';
}

/** Speaks to V8 in another process. */
export class Inspector {
  private sent = 0;

  private constructor(private readonly socket: WebSocket) {}

  static async open(url: string): Promise<Inspector> {
    const socket = new WebSocket(url, { maxPayload: 0, perMessageDeflate: false });
    await once(socket, 'open');
    return new Inspector(socket);
  }

  /** Calls a method of the protocol; `T` is what it answers. */
  post<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.sent;
    return new Promise((resolve, reject) => {
      const hear = (data: Buffer): void => {
        const answer = JSON.parse(data.toString()) as { id?: number; result: T; error?: { message: string } };
        if (answer.id !== id) return;
        this.socket.off('message', hear);
        if (answer.error) reject(new Error(answer.error.message));
        else resolve(answer.result);
      };
      this.socket.on('message', hear);
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** MiB of objects that are still in use: what is left after a full collection, which stops the process for a moment. */
  async liveHeapMib(): Promise<number> {
    await this.post('HeapProfiler.collectGarbage');
    const { usedSize } = await this.post<{ usedSize: number }>('Runtime.getHeapUsage');
    return usedSize / BYTES_PER_MIB;
  }

  /**
   * Memory after a full collection, MiB: live objects, what lies outside of V8's heap (buffers, also those of sockets),
   * and what the process holds of the machine.
   */
  async memoryAfterGc(): Promise<{ heap: number; external: number; rss: number }> {
    await this.post('HeapProfiler.collectGarbage');
    const { result } = await this.post<{ result: { value: NodeJS.MemoryUsage } }>('Runtime.evaluate', {
      expression: 'process.memoryUsage()',
      returnByValue: true,
    });
    const { heapUsed, external, rss } = result.value;
    return { heap: heapUsed / BYTES_PER_MIB, external: external / BYTES_PER_MIB, rss: rss / BYTES_PER_MIB };
  }

  close(): void {
    this.socket.close();
  }
}
