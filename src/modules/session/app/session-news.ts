import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DatabaseNews } from '../../../common/persistence/database-news.js';
import { SESSION_CHANNEL } from './session-rows.js';

/**
 * Tells the dialogues of this process that somebody has a word for them: a prompt, an answer, another policy. Only a hint:
 * each of them looks by itself now and then.
 */
@Injectable()
export class SessionNews implements OnModuleInit, Worker {
  readonly name = 'session-news';
  readonly roles = ['runner'] as const;
  /** By agent, and by task. */
  private readonly listeners = new Map<string, Set<() => void>>();

  constructor(
    private readonly news: DatabaseNews,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.news.listen({ name: SESSION_CHANNEL, hear: (id) => this.hear(id), begun: () => this.hear('') });
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** Calls back when there is something for the agent, or for whoever works on the task. Returns what ends that. */
  listen({ agent_id, task_id }: { agent_id: string; task_id: string }, onNews: () => void): () => void {
    for (const id of [agent_id, task_id]) this.of(id).add(onNews);
    return () => {
      for (const id of [agent_id, task_id]) {
        this.of(id).delete(onNews);
        if (this.of(id).size === 0) this.listeners.delete(id);
      }
    };
  }

  /** Without an id all are meant. */
  private hear(id: string): void {
    const meant = id === '' ? [...this.listeners.values()] : [this.listeners.get(id) ?? []];
    for (const listeners of meant) for (const listener of listeners) listener();
  }

  private of(id: string): Set<() => void> {
    const known = this.listeners.get(id) ?? new Set();
    this.listeners.set(id, known);
    return known;
  }
}
