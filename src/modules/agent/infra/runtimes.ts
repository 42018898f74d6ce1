import { Injectable } from '@nestjs/common';
import type { Runtime } from '../contracts/agent.types.js';
import { ContainerRuntimes, type ContainerRuntime } from '../domain/container-runtime.js';
import { DockerRuntime } from './docker/docker-runtime.js';
import { ProcessRuntime } from './process/process-runtime.js';

/** The two runtimes there are. */
@Injectable()
export class InstalledRuntimes extends ContainerRuntimes {
  private readonly byName: Record<Runtime, ContainerRuntime>;

  constructor(docker: DockerRuntime, process: ProcessRuntime) {
    super();
    this.byName = { docker, process };
  }

  get(runtime: Runtime): ContainerRuntime {
    return this.byName[runtime];
  }

  all(): readonly ContainerRuntime[] {
    return Object.values(this.byName);
  }
}
