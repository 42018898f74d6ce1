import type { Provider } from '@nestjs/common';
import { CONFIG } from '../../../common/config/config.module.js';
import { AGENT_USER } from '../app/launch-spec.js';
import { ContainerRuntimes } from '../domain/container-runtime.js';
import { RunDirectories } from '../domain/run-directory.js';
import { agentUser } from './agent-user.js';
import { diskProviders } from './disks/disk-providers.js';
import { dockerClient } from './docker/docker-client.js';
import { DOCKER, DockerRuntime } from './docker/docker-runtime.js';
import { EngineReader } from './docker/engine-reader.js';
import { SandboxInspector } from './docker/sandbox-inspector.js';
import { HostRunDirectories } from './files/host-run-directories.js';
import { ProcessRuntime } from './process/process-runtime.js';
import { InstalledRuntimes } from './runtimes.js';

/** All that runs agents on this host, without a database: for the server, and for the check of an image. */
export const runtimeProviders: Provider[] = [
  { provide: DOCKER, useFactory: dockerClient, inject: [CONFIG] },
  { provide: AGENT_USER, useFactory: agentUser, inject: [CONFIG] },
  { provide: RunDirectories, useClass: HostRunDirectories },
  ...diskProviders,
  { provide: ContainerRuntimes, useClass: InstalledRuntimes },
  ...[DockerRuntime, ProcessRuntime, SandboxInspector, EngineReader],
];
