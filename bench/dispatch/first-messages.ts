import { io, type Socket } from 'socket.io-client';

interface Message {
  type: string;
  task_id: string;
  data: { message?: unknown; status?: unknown; phase?: unknown };
}

const WAIT_MS = 120_000;
/** What the agents say first. What the server tells of an attempt comes before it, and is not it. */
export const FIRST_LINE = 'the first line of an agent';

/** Steps on the way there, as the server tells them. */
export const STEPS = ['PENDING', 'preparation', 'launch'] as const;

/** A Socket.IO client that notes when the first line of each task's agent comes. */
export class FirstMessages {
  private readonly waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();

  /** When a task's steps were heard of, by `performance.now()`. */
  readonly steps = new Map<string, number[]>();

  private constructor(private readonly socket: Socket) {
    socket.on('acp', (messages: Message[]) => {
      for (const { type, task_id, data } of messages) {
        const at = STEPS.findIndex((name) => type === 'status' && (data.phase === name || data.status === name));
        if (at !== -1) (this.steps.get(task_id) ?? this.noted(task_id))[at] ??= performance.now();
        if (type === 'log' && data.message === FIRST_LINE) this.waiting.get(task_id)?.resolve();
        if (type === 'status' && data.status === 'FAILED')
          this.waiting.get(task_id)?.reject(new Error(`an agent has failed: ${String(data.message)}`));
      }
    });
  }

  static async open(url: string, token: string): Promise<FirstMessages> {
    const socket = io(`${url}/acp`, {
      ...{ transports: ['websocket'], reconnection: false, forceNew: true },
      auth: { token },
    });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
    return new FirstMessages(socket);
  }

  /** Subscribes to tasks; returns what waits for the first line of one of them. */
  async follow(task_ids: readonly string[]): Promise<(taskId: string) => Promise<void>> {
    const heard = new Map(task_ids.map((id) => [id, this.first(id)]));
    const answer = (await this.socket.timeout(WAIT_MS).emitWithAck('subscribe', { task_ids })) as {
      subscribed?: unknown[];
    };
    if (answer.subscribed?.length !== task_ids.length) throw new Error(`not subscribed: ${JSON.stringify(answer)}`);
    return async (taskId) => heard.get(taskId);
  }

  close(): void {
    this.socket.disconnect();
  }

  private noted(taskId: string): number[] {
    const steps: number[] = [];
    this.steps.set(taskId, steps);
    return steps;
  }

  private first(taskId: string): Promise<void> {
    const heard = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the agent of task ${taskId} has said nothing`)), WAIT_MS);
      const settle = (then: () => void): void => {
        clearTimeout(late);
        this.waiting.delete(taskId);
        then();
      };
      this.waiting.set(taskId, { resolve: () => settle(resolve), reject: (error) => settle(() => reject(error)) });
    });
    heard.catch(() => undefined); // whoever waits for it hears of it
    return heard;
  }
}
