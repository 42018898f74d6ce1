import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type Docker from 'dockerode';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import {
  ContainerRuntime,
  type LaunchSpec,
  type Observed,
  type PreparedImage,
  type ProgressReport,
} from '../../domain/container-runtime.js';
import type { ImageFacts } from '../../domain/image-facts.js';
import { AttemptFailure, type Exit } from '../../domain/outcome.js';
import type { ResourceUsage } from '../../domain/resource-usage.js';
import { RunDirectories } from '../../domain/run-directory.js';
import type { SandboxReport } from '../../domain/sandbox.js';
import { ContainerControl } from './container-control.js';
import { containerName, LABEL_AGENT, LABEL_HOME } from './container-options.js';
import { ContainerRecipe } from './container-recipe.js';
import { ContainerWatch } from './container-watch.js';
import { QUICK_SECONDS, SLOW_SECONDS, within } from './deadline.js';
import { DOCKER } from './docker-client.js';
import { engineStatus, failuresWithout, type Failures } from './engine-errors.js';
import { SandboxInspector } from './sandbox-inspector.js';

export { DOCKER };

/** The launcher's first steps take milliseconds; this is for a machine at its limit. */
const GATE_LIMIT_MS = 30_000;
const GATE_POLL_MS = 20;
const MAX_GATE_POLL_MS = 1_000; // of one that has removed the traces of its own start, every look is in vain

/** Agents in containers of one Docker engine. A container is named after its agent, so it can't be made twice. */
@Injectable()
export class DockerRuntime extends ContainerRuntime {
  readonly runtime = 'docker' as const;
  readonly can_pause = true;
  readonly has_gate = true;
  private readonly recipe: ContainerRecipe;
  private readonly watch: ContainerWatch;
  private readonly control: ContainerControl;
  private readonly failure: Failures;

  constructor(
    @Inject(DOCKER) private readonly docker: Docker,
    @Inject(CONFIG) private readonly config: Config,
    private readonly runDirectories: RunDirectories,
    private readonly inspector: SandboxInspector,
  ) {
    super();
    this.failure = failuresWithout(config.home);
    this.recipe = new ContainerRecipe(docker, config);
    this.watch = new ContainerWatch(docker, runDirectories, this.failure);
    this.control = new ContainerControl(docker, this.failure);
  }

  async available(): Promise<boolean> {
    try {
      await within(QUICK_SECONDS, this.docker.ping());
      return true;
    } catch {
      return false;
    }
  }

  async findImage(imageName: string): Promise<PreparedImage | null> {
    return (await this.recipe.images.find(imageName).catch(() => null)) ?? null;
  }

  prepareImage(imageName: string, report: ProgressReport, signal: AbortSignal): Promise<PreparedImage> {
    return this.recipe.images.resolve(imageName, report, signal);
  }

  describeImage(imageId: string): Promise<ImageFacts> {
    return this.recipe.images.describe(imageId);
  }

  async create(spec: LaunchSpec): Promise<{ container_id: string; container_name: string }> {
    const container_name = containerName(spec.agent_id);
    try {
      if (spec.network === 'open') await this.recipe.open_network.use(spec.agent_id);
      const { name, ...body } = await this.recipe.options(spec);
      // Left to itself the client puts all of it into the address as well: secrets, for every log on the way.
      const request: object = { _query: { name }, _body: body };
      const container = await within(SLOW_SECONDS, this.docker.createContainer(request));
      return { container_id: container.id, container_name };
    } catch (error) {
      // Made by a call whose answer was lost: the name is ours alone, so it is the same container.
      if (engineStatus(error) === 409) return { container_id: await this.findOwn(spec.agent_id), container_name };
      if (engineStatus(error) === 404)
        throw this.failure(error, 'image.unavailable', 'The image is not on this host any more');
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

  async verify(spec: LaunchSpec): Promise<SandboxReport | null> {
    try {
      return await this.inspector.report(spec, await this.recipe.options(spec));
    } catch (error) {
      throw this.failure(error, 'container.start_failed', 'The container could not be looked at');
    }
  }

  async begin(agentId: string): Promise<void> {
    let pause = GATE_POLL_MS;
    for (const deadline = Date.now() + GATE_LIMIT_MS; Date.now() < deadline; await sleep(pause)) {
      pause = Math.min(1.5 * pause, MAX_GATE_POLL_MS);
      if (await this.runDirectories.hasBegun(agentId)) return;
      if (await this.runDirectories.openGate(agentId)) return;
      // One that has ended on its way there has an exit to tell why.
      if ((await this.watch.inspect(agentId)).state !== 'running') return;
    }
    throw new AttemptFailure(
      'container.start_failed',
      `The container did not get ready for the agent's command within ${GATE_LIMIT_MS / 1000} s.`,
    );
  }

  inspect(agentId: string): Promise<Observed> {
    return this.watch.inspect(agentId);
  }

  waitForExit(agentId: string, signal: AbortSignal): Promise<Exit | 'vanished'> {
    return this.watch.waitForExit(agentId, signal);
  }

  pause(agentId: string): Promise<void> {
    return this.control.pause(agentId);
  }

  resume(agentId: string): Promise<void> {
    return this.control.resume(agentId);
  }

  usage(agentId: string): Promise<ResourceUsage | null> {
    return this.control.usage(agentId);
  }

  stop(agentId: string, graceSeconds: number): Promise<void> {
    return this.control.stop(agentId, graceSeconds);
  }

  async remove(agentId: string): Promise<void> {
    await this.control.remove(agentId);
    await this.recipe.open_network.leave(agentId).catch((error: unknown) => {
      throw this.failure(error, 'engine.unavailable', 'The network could not be removed');
    });
  }

  async listAgentIds(): Promise<string[]> {
    const filters = { label: [`${LABEL_HOME}=${this.config.host_id}`] };
    const containers = await within(QUICK_SECONDS, this.docker.listContainers({ all: true, filters }));
    // Whoever asks clears away: what a kill has left of the network goes with that. Later will do, if it can't be done now.
    await this.recipe.open_network.sweep(containers).catch(() => undefined);
    return containers.map((container) => container.Labels[LABEL_AGENT]).filter((id) => id !== undefined);
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
