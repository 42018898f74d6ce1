import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { BackgroundLoop } from '../../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../../common/ops/workers.js';
import type { EngineStatus, NotEnforced } from '../../contracts/engine.queries.js';
import { EngineChecks } from '../../domain/sandbox-engine.js';
import { TaskDisks } from '../../domain/task-disks.js';
import { engineMessage } from './engine-errors.js';
import { EngineReader } from './engine-reader.js';
import { EngineTrial } from './engine-trial.js';
import { notEnforced } from './engine-weaknesses.js';

/** How soon it is noticed that the engine has gone, or is back. */
const LOOK_MS = 5_000;

/** Of the host, or of an address: everybody may read the status. */
const PATH = /(\/[^\s:,]+)+/g;

const UNKNOWN = {
  ...{ product: null, version: null, api_version: null, runtime_version: null, cgroup_version: null },
  ...{ cgroup_driver: null, storage_driver: null, storage_quota: null, live_restore: false },
  ...{ security: [], not_enforced: [], disk_limit_method: null },
};

/**
 * Looks after the engine of this host: what it says that it can do, and whether a container that is tried really has
 * it. At the start, and whenever the engine was away. The log and the status tell what does not hold.
 */
@Injectable()
export class EngineProbe extends EngineChecks implements OnModuleInit, Worker {
  readonly name = 'engine-probe';
  readonly roles = ['runner'] as const;
  private readonly logger = new Logger(EngineProbe.name);
  private readonly loop = new BackgroundLoop(EngineProbe.name, LOOK_MS, () => this.round());
  private last: EngineStatus | null = null;
  /** Whether `last` is of the engine that answers now. */
  private isChecked = false;

  constructor(
    private readonly engine: EngineReader,
    private readonly trial: EngineTrial,
    private readonly disks: TaskDisks,
    private readonly workers: Workers,
  ) {
    super();
  }

  onModuleInit(): void {
    this.workers.add(this);
  }

  status(): EngineStatus | null {
    return this.last;
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    await this.look().catch((error: unknown) => this.logger.warn({ err: error }, 'the engine could not be checked'));
    return LOOK_MS;
  }

  private async look(): Promise<void> {
    if (!(await this.engine.answers())) return this.away();
    if (!this.isChecked) await this.check();
    this.isChecked = true;
  }

  private away(): void {
    if (this.last?.available !== false) {
      this.logger.warn('the container engine does not answer: agents in containers can not be started');
    }
    this.last = { ...(this.last ?? { ...UNKNOWN, checked_at: new Date().toISOString() }), available: false };
    this.isChecked = false;
    this.engine.forget();
  }

  private async check(): Promise<void> {
    const words = await this.engine.read();
    const disk_limit_method = await this.disks.method();
    const tried = await this.tried();
    const not_enforced = [...notEnforced(words, disk_limit_method), ...tried];
    const checked_at = new Date().toISOString();
    this.last = { available: true, ...words.described, not_enforced, disk_limit_method, checked_at };
    this.logger.log({ ...words.described, disk_limit_method }, 'the container engine was checked');
    for (const weakness of not_enforced)
      this.logger.warn(weakness, 'this host can not hold what agents are to be held by');
  }

  private async tried(): Promise<NotEnforced[]> {
    try {
      const why =
        'The engine says that it can, and a container that was tried was without: no agent is started in one.';
      return (await this.trial.run()).map((what) => ({ what, why }));
    } catch (error) {
      this.logger.warn({ err: error }, 'no container could be tried');
      const why = `It could not be started: ${engineMessage(error).replaceAll(PATH, '…')}`;
      return [{ what: 'a container that was tried', why }];
    }
  }
}
