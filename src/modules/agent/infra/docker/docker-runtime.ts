import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type Docker from 'dockerode';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import {
  ContainerRuntime,
  type LaunchSpec,
  type Observed,
  type ProgressReport,
} from '../../domain/container-runtime.js';
import { AttemptFailure, type Exit, type FailureCode } from '../../domain/outcome.js';
import { containerName, containerOptions, LABEL_AGENT, LABEL_HOME } from './container-options.js';
import { QUICK_SECONDS, SLOW_SECONDS, within } from './deadline.js';
import { DockerImages } from './docker-images.js';
import { engineFailure, engineStatus } from './engine-errors.js';

/** Injection token of the dockerode client. */
export const DOCKER = Symbol('Docker');

const ENGINE_RETRY_MS = 1_000;
/** How long one wait for an exit is trusted; its connection may have died unnoticed. */
const WAIT_SECONDS = 10;

/** Agents in containers of one Docker engine. A container is named after its agent, so it can't be made twice. */
@Injectable()
export class DockerRuntime extends ContainerRuntime {
  readonly runtime = 'docker' as const;
  private readonly logger = new Logger(DockerRuntime.name);
  private readonly images: DockerImages;

  constructor(
    @Inject(DOCKER) private readonly docker: Docker,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    super();
    this.images = new DockerImages(docker, config.agent.pull_timeout_seconds);
  }

  async available(): Promise<boolean> {
    try {
      await within(QUICK_SECONDS, this.docker.ping());
      return true;
    } catch {
      return false;
    }
  }

  prepareImage(imageName: string, report: ProgressReport, signal: AbortSignal): Promise<string> {
    return this.images.resolve(imageName, report, signal);
  }

  async create(spec: LaunchSpec): Promise<{ container_id: string; container_name: string }> {
    const container_name = containerName(spec.agent_id);
    try {
      const command = spec.command ?? (await this.images.defaultCommand(spec.image_id ?? spec.image_name));
      if (command.length === 0) {
        throw new AttemptFailure(
          'container.start_failed',
          `The image ${spec.image_name} names no command, and neither does the agent type.`,
        );
      }
      const home = { id: this.config.host_id, path: this.config.home };
      const { name, ...body } = containerOptions(spec, command, home);
      // Left to itself the client puts all of it into the address as well: secrets, for every log on the way.
      const request: object = { _query: { name }, _body: body };
      const container = await within(SLOW_SECONDS, this.docker.createContainer(request));
      return { container_id: container.id, container_name };
    } catch (error) {
      // Made by a call whose answer was lost: the name is ours alone, so it is the same container.
      if (engineStatus(error) === 409) return { container_id: await this.findOwn(spec.agent_id), container_name };
      throw this.failure(error, 'container.start_failed', 'The container could not be made');
    }
  }

  async start(_spec: LaunchSpec, containerId: string): Promise<void> {
    try {
      await within(SLOW_SECONDS, this.docker.getContainer(containerId).start());
    } catch (error) {
      if (engineStatus(error) === 304) return; // runs already
      throw this.failure(error, 'container.start_failed', 'The container could not be started');
    }
  }

  async inspect(agentId: string): Promise<Observed> {
    try {
      const { Id: container_id, State: state } = await within(
        QUICK_SECONDS,
        this.docker.getContainer(containerName(agentId)).inspect(),
      );
      if (state.Running || state.Paused || state.Restarting) return { state: 'running', container_id };
      // Being removed by somebody: what it ended with is no longer the agent's doing.
      if (state.Status === 'removing' || state.Dead) return { state: 'absent' };
      if (state.Status === 'created') return { state: 'created', container_id };
      const exit: Exit = {
        exit_code: state.ExitCode,
        oom_killed: state.OOMKilled,
        ...(state.Error ? { error: state.Error } : {}),
      };
      return { state: 'exited', container_id, exit };
    } catch (error) {
      if (engineStatus(error) === 404) return { state: 'absent' };
      throw this.failure(error, 'engine.unavailable', 'The engine could not tell about the container');
    }
  }

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

  async stop(agentId: string, graceSeconds: number): Promise<void> {
    const container = this.docker.getContainer(containerName(agentId));
    try {
      const ended = graceSeconds === 0 ? container.kill() : container.stop({ t: graceSeconds });
      await within(graceSeconds + SLOW_SECONDS, ended);
    } catch (error) {
      const status = engineStatus(error);
      if (status === 304 || status === 404 || status === 409) return; // has ended already
      throw this.failure(error, 'engine.unavailable', 'The container could not be stopped');
    }
  }

  async remove(agentId: string): Promise<void> {
    try {
      await within(SLOW_SECONDS, this.docker.getContainer(containerName(agentId)).remove({ force: true, v: true }));
    } catch (error) {
      const status = engineStatus(error);
      if (status === 404 || status === 409) return; // gone, or being removed
      throw this.failure(error, 'engine.unavailable', 'The container could not be removed');
    }
  }

  async listAgentIds(): Promise<string[]> {
    const filters = { label: [`${LABEL_HOME}=${this.config.host_id}`] };
    const containers = await within(QUICK_SECONDS, this.docker.listContainers({ all: true, filters }));
    return containers.map((container) => container.Labels[LABEL_AGENT]).filter((id) => id !== undefined);
  }

  /** What a user reads: the engine's words, without paths of this host. */
  private failure(error: unknown, code: FailureCode, what: string): AttemptFailure {
    const { code: known, message } = engineFailure(error, code, what);
    return new AttemptFailure(known, message.replaceAll(this.config.home, 'KANDEV_HOME'));
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

  private async findOwn(agentId: string): Promise<string> {
    const { Id: id, Config: config } = await within(
      QUICK_SECONDS,
      this.docker.getContainer(containerName(agentId)).inspect(),
    );
    if (config.Labels[LABEL_HOME] === this.config.host_id && config.Labels[LABEL_AGENT] === agentId) return id;
    throw new AttemptFailure(
      'container.start_failed',
      `A container named ${containerName(agentId)} exists, and it is not ours.`,
    );
  }
}
