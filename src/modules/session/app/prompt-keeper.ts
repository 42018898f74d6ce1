import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { FollowUps } from './follow-ups.js';

const EVERY_MS = 15_000; // a net: whoever takes a prompt starts its run, and so does the end of the run before
/** What waits for less is being started just now. */
const WAITED_SECONDS = 10;

/** Starts runs for prompts whose server was killed before it could. */
@Injectable()
export class PromptKeeper implements OnModuleInit, Worker {
  readonly name = 'prompt-keeper';
  readonly roles = ['orchestrator'] as const;
  private readonly logger = new Logger(PromptKeeper.name);
  private readonly loop = new BackgroundLoop(PromptKeeper.name, EVERY_MS, () => this.round());

  constructor(
    private readonly followUps: FollowUps,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    for (const task_id of await this.followUps.tasksThatWait(WAITED_SECONDS)) {
      if (this.loop.isStopping) break;
      await this.followUps.startFor(task_id).catch((error: unknown) => {
        if (!(error instanceof DomainError)) throw error;
        this.logger.warn({ err: error, task_id }, 'no run can be started for a prompt yet');
      });
    }
    return EVERY_MS;
  }
}
