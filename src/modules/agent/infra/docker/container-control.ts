import type Docker from 'dockerode';
import type { ResourceUsage } from '../../domain/resource-usage.js';
import { containerName } from './container-options.js';
import { ContainerUsage } from './container-usage.js';
import { QUICK_SECONDS, SLOW_SECONDS, within } from './deadline.js';
import { engineStatus, isEngineDown, type Failures } from './engine-errors.js';

/** Holds, ends and measures agents' containers. */
export class ContainerControl {
  private readonly samples = new ContainerUsage();

  constructor(
    private readonly docker: Docker,
    private readonly failure: Failures,
  ) {}

  async pause(agentId: string): Promise<void> {
    await this.hold(agentId, true);
  }

  async resume(agentId: string): Promise<void> {
    await this.hold(agentId, false);
  }

  async usage(agentId: string): Promise<ResourceUsage | null> {
    try {
      const options = { stream: false, 'one-shot': true } as const; // at once, not after a second of counting
      const stats = await within(QUICK_SECONDS, this.container(agentId).stats(options));
      return this.samples.sample(agentId, stats);
    } catch (error) {
      if (engineStatus(error) === 404 || engineStatus(error) === 409) return null;
      throw this.failure(error, 'engine.unavailable', 'The engine could not tell what the container uses');
    }
  }

  async stop(agentId: string, graceSeconds: number): Promise<void> {
    const container = this.container(agentId);
    try {
      // Who is held still hears no SIGTERM; a kill needs no hearing.
      if (graceSeconds > 0 && (await this.isPaused(agentId))) await this.resume(agentId);
      const ended = graceSeconds === 0 ? container.kill() : container.stop({ t: graceSeconds });
      await within(graceSeconds + SLOW_SECONDS, ended);
    } catch (error) {
      const status = engineStatus(error);
      if (status === 304 || status === 404 || status === 409) return; // has ended already
      throw this.failure(error, 'engine.unavailable', 'The container could not be stopped');
    }
  }

  async remove(agentId: string): Promise<void> {
    this.samples.forget(agentId);
    try {
      await within(SLOW_SECONDS, this.container(agentId).remove({ force: true, v: true }));
    } catch (error) {
      const status = engineStatus(error);
      if (status === 404 || status === 409) return; // gone, or being removed
      throw this.failure(error, 'engine.unavailable', 'The container could not be removed');
    }
  }

  private async hold(agentId: string, still: boolean): Promise<void> {
    const container = this.container(agentId);
    try {
      await within(SLOW_SECONDS, still ? container.pause() : container.unpause());
    } catch (error) {
      if (engineStatus(error) === 404) return;
      // Engines answer variously where there is nothing to be done: what counts is how it is now.
      if (!isEngineDown(error) && (await this.isPaused(agentId).catch(() => !still)) !== !still) return;
      throw this.failure(error, 'engine.unavailable', `The container could not be ${still ? 'paused' : 'resumed'}`);
    }
  }

  /** Undefined: it does not run. */
  private async isPaused(agentId: string): Promise<boolean | undefined> {
    try {
      const { State: state } = await within(QUICK_SECONDS, this.container(agentId).inspect());
      return state.Running || state.Paused ? state.Paused : undefined;
    } catch (error) {
      if (engineStatus(error) === 404) return undefined;
      throw error;
    }
  }

  private container(agentId: string): Docker.Container {
    return this.docker.getContainer(containerName(agentId));
  }
}
