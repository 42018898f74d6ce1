import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type Docker from 'dockerode';
import type { ContainerHealth, Observed } from '../../domain/container-runtime.js';
import type { Exit } from '../../domain/outcome.js';
import type { RunDirectories } from '../../domain/run-directory.js';
import { isStartFailure } from '../../domain/start-failure.js';
import { containerName } from './container-options.js';
import { QUICK_SECONDS, within } from './deadline.js';
import { engineStatus, type Failures } from './engine-errors.js';

const ENGINE_RETRY_MS = 1_000;
/** How long one wait for an exit is trusted; its connection may have died unnoticed. */
const WAIT_SECONDS = 10;

type State = Docker.ContainerInspectInfo['State'];

/** Looks at agents' containers. */
export class ContainerWatch {
  private readonly logger = new Logger(ContainerWatch.name);

  constructor(
    private readonly docker: Docker,
    private readonly runDirectories: RunDirectories,
    private readonly failure: Failures,
  ) {}

  async inspect(agentId: string): Promise<Observed> {
    try {
      const { Id: container_id, State: state } = await within(
        QUICK_SECONDS,
        this.docker.getContainer(containerName(agentId)).inspect(),
      );
      if (state.Running || state.Paused || state.Restarting)
        return { state: 'running', container_id, paused: state.Paused, health: healthOf(state) };
      // Being removed by somebody: what it ended with is no longer the agent's doing.
      if (state.Status === 'removing' || state.Dead) return { state: 'absent' };
      if (state.Status === 'created') return { state: 'created', container_id };
      return { state: 'exited', container_id, exit: await this.exit(agentId, state) };
    } catch (error) {
      if (engineStatus(error) === 404) return { state: 'absent' };
      throw this.failure(error, 'engine.unavailable', 'The engine could not tell about the container');
    }
  }

  /** Resolves when it has ended or is gone; an engine that is away is waited for. */
  async waitForExit(agentId: string, signal: AbortSignal): Promise<Exit | 'vanished'> {
    for (let downSince = 0; ;) {
      signal.throwIfAborted();
      try {
        const observed = await this.inspect(agentId);
        downSince = 0;
        if (observed.state === 'absent') return 'vanished';
        if (observed.state === 'exited') return observed.exit;
        await this.waitForChange(observed.container_id, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (downSince === 0)
          this.logger.warn({ err: error, agent_id: agentId }, 'the engine does not answer; waiting for it');
        downSince ||= Date.now();
        await sleep(ENGINE_RETRY_MS, undefined, { signal });
      }
    }
  }

  private async exit(agentId: string, state: State): Promise<Exit> {
    const start_failure = isStartFailure(state.ExitCode) ? await this.runDirectories.startFailure(agentId) : null;
    return {
      exit_code: state.ExitCode,
      oom_killed: state.OOMKilled,
      ...(state.Error ? { error: state.Error } : {}),
      ...(start_failure ? { start_failure } : {}),
    };
  }

  /** A hint that something has changed: returns after some seconds in any case. */
  private async waitForChange(containerId: string, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const abortSignal = AbortSignal.any([signal, enough.signal]);
    const ended = this.docker.getContainer(containerId).wait({ abortSignal });
    const pause = sleep(WAIT_SECONDS * 1000, undefined, { signal: abortSignal });
    pause.catch(() => undefined);
    try {
      // A wait that fails at once must not become a busy loop.
      await Promise.race([ended.catch(() => sleep(ENGINE_RETRY_MS, undefined, { signal })), pause]);
    } finally {
      enough.abort();
    }
  }
}

function healthOf({ Health: health }: State): ContainerHealth | null {
  const status = health?.Status;
  return status === 'starting' || status === 'healthy' || status === 'unhealthy' ? status : null;
}
