import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import Dockerode from 'dockerode';
import { v7 as uuidv7 } from 'uuid';
import type { AgentCheckModule } from '../../src/modules/agent/agent-check.module.js';
import type { loadConfig } from '../../src/common/config/config.js';
import type {
  ContainerRuntime,
  ContainerRuntimes,
  LaunchSpec,
} from '../../src/modules/agent/domain/container-runtime.js';
import type { RunDirectories } from '../../src/modules/agent/domain/run-directory.js';
import type { Build } from '../lib/build.js';

const USER = { uid: 10_001, gid: 10_001 };
const COMMAND = ['/bin/sh', '-c', 'echo first'];
const LOOK_MS = 1;

/** Launches one line of output: as the server does, and as the engine does by itself. */
export class Launcher {
  private readonly docker = new Dockerode();

  private constructor(
    private readonly home: string,
    private readonly image: string,
    private readonly app: INestApplicationContext,
    private readonly runtime: ContainerRuntime,
    private readonly directories: RunDirectories,
  ) {}

  static async open(build: Build, home: string, image: string): Promise<Launcher> {
    const configs = await build.import<{ loadConfig: typeof loadConfig }>('src/common/config/config');
    const modules = await build.import<{ AgentCheckModule: typeof AgentCheckModule }>(
      'src/modules/agent/agent-check.module',
    );
    const ports = 'src/modules/agent/domain';
    const runtimes = await build.import<{ ContainerRuntimes: typeof ContainerRuntimes }>(`${ports}/container-runtime`);
    const runs = await build.import<{ RunDirectories: typeof RunDirectories }>(`${ports}/run-directory`);
    const config = configs.loadConfig({ ...process.env, KANDEV_HOME: home });
    const app = await NestFactory.createApplicationContext(modules.AgentCheckModule.with(config), {
      logger: ['error'],
    });
    const runtime = app.get<ContainerRuntimes>(runtimes.ContainerRuntimes).get('docker');
    return new Launcher(home, image, app, runtime, app.get(runs.RunDirectories));
  }

  close(): Promise<void> {
    return this.app.close();
  }

  /** Milliseconds from nothing to the first line, with all that confines an agent; with a gateway if asked. */
  async confined(gateway: boolean): Promise<number> {
    const agent_id = uuidv7();
    const root = join(this.home, 'room', agent_id);
    for (const name of ['workspace', 'home', 'tmp', 'gateway'])
      mkdirSync(join(root, name), { recursive: true, mode: 0o777 });
    const { image_id } = await this.runtime.prepareImage(this.image, () => undefined, new AbortController().signal);
    const socket = gateway ? await listening(join(root, 'gateway/gateway.sock')) : null;
    const spec: LaunchSpec = {
      ...{ agent_id, run_id: agent_id, task_id: agent_id, image_name: this.image, image_id, command: COMMAND },
      ...{ environment: {}, limits: { cpu_limit: '2', memory_limit: '512m' }, max_file_bytes: 1024 ** 3 },
      ...{ workspace_directory: join(root, 'workspace'), home_directory: join(root, 'home') },
      ...{ tmp_directory: join(root, 'tmp'), run_directory: this.directories.path(agent_id) },
      ...{ network: gateway ? 'isolated' : 'none', gateway_directory: gateway ? join(root, 'gateway') : null },
      ...{ credentials: [], user: USER },
    };
    try {
      await this.directories.prepare(agent_id, { task: {}, api_key: 'none' }, USER);
      const started = performance.now();
      const { container_id } = await this.runtime.create(spec);
      await this.runtime.verify(spec);
      await this.runtime.start(spec, container_id);
      const report = await this.runtime.verify(spec);
      if (report && report.differences.length > 0) throw new Error(report.differences.join('; '));
      await this.runtime.begin(agent_id);
      await firstLine(join(spec.run_directory, 'out'));
      return performance.now() - started;
    } finally {
      await this.runtime.remove(agent_id);
      await this.directories.remove(agent_id);
      socket?.close();
      rmSync(root, { recursive: true, force: true });
    }
  }

  /** The same by the engine alone: a container of the image as it is, with one mount for its line. */
  async plain(): Promise<number> {
    const root = join(this.home, 'room', uuidv7());
    mkdirSync(root, { recursive: true });
    const started = performance.now();
    const container = await this.docker.createContainer({
      ...{ Image: this.image, User: '0', Entrypoint: ['/bin/sh', '-c'], Cmd: ['echo first > /out/out'] },
      HostConfig: { NetworkMode: 'none', Mounts: [{ Type: 'bind', Source: root, Target: '/out' }] },
    });
    try {
      await container.start();
      await firstLine(join(root, 'out'));
      return performance.now() - started;
    } finally {
      await container.remove({ force: true, v: true });
      rmSync(root, { recursive: true, force: true });
    }
  }
}

async function firstLine(file: string): Promise<void> {
  for (;;) {
    try {
      if (readFileSync(file).includes('\n')) return;
    } catch {
      // not there yet
    }
    await sleep(LOOK_MS);
  }
}

function listening(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}
