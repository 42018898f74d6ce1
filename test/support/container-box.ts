import { randomUUID } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/common/config/config.js';
import type { LaunchSpec } from '../../src/modules/agent/domain/container-runtime.js';
import type { Exit } from '../../src/modules/agent/domain/outcome.js';
import type { RunDirectoryOptions } from '../../src/modules/agent/domain/run-directory.js';
import { dockerClient } from '../../src/modules/agent/infra/docker/docker-client.js';
import { DockerRuntime } from '../../src/modules/agent/infra/docker/docker-runtime.js';
import { EngineReader } from '../../src/modules/agent/infra/docker/engine-reader.js';
import { SandboxInspector } from '../../src/modules/agent/infra/docker/sandbox-inspector.js';
import { HostRunDirectories } from '../../src/modules/agent/infra/files/host-run-directories.js';
import { noContainerLeft } from './containers.js';
import { until } from './until.js';

const USER = { uid: 10_001, gid: 10_001 };

/** What an attempt would ask for, made here step by step: the container runtime on the real engine, without a server. */
export class ContainerBox {
  readonly directory = mkdtempSync(join(tmpdir(), 'kandev-test-'));
  readonly home = join(this.directory, 'home');
  readonly runDirectories: HostRunDirectories;
  readonly runtime: DockerRuntime;
  private readonly made: string[] = [];

  constructor() {
    chmodSync(this.directory, 0o711);
    const { DOCKER_HOST } = process.env;
    const config = loadConfig({ KANDEV_HOME: this.home, ...(DOCKER_HOST ? { DOCKER_HOST } : {}) });
    const docker = dockerClient(config);
    const inspector = new SandboxInspector(docker, config, new EngineReader(docker));
    this.runDirectories = new HostRunDirectories(config);
    this.runtime = new DockerRuntime(docker, config, this.runDirectories, inspector);
  }

  /** Directories and run directory of an agent that runs `command` in the demo agent's image. */
  async spec(
    command: string[] | null,
    change: Partial<LaunchSpec> = {},
    options: RunDirectoryOptions = {},
  ): Promise<LaunchSpec> {
    const agent_id = randomUUID();
    this.made.push(agent_id);
    const root = join(this.home, 'workspaces', agent_id);
    const [workspace_directory = '', home_directory = '', tmp_directory = ''] = ['workspace', 'home', 'tmp'].map(
      (name) => {
        mkdirSync(join(root, name), { recursive: true });
        chownSync(join(root, name), USER.uid, USER.gid);
        return join(root, name);
      },
    );
    await this.runDirectories.prepare(agent_id, { task: {}, api_key: 'key' }, USER, options);
    const { image_name = 'kandev/demo-agent:latest' } = change;
    const { image_id } = await this.runtime.prepareImage(image_name, () => undefined, AbortSignal.timeout(30_000));
    return {
      ...{ agent_id, run_id: randomUUID(), task_id: randomUUID(), image_name, image_id },
      ...{ command, environment: {}, limits: {}, max_file_bytes: null, credentials: [], user: USER },
      ...{ workspace_directory, home_directory, tmp_directory },
      ...{ run_directory: this.runDirectories.path(agent_id), network: 'none', gateway_directory: null },
      ...change,
    };
  }

  /** An empty directory for a gateway's socket. */
  gatewayDirectory(): string {
    const path = mkdtempSync(join(this.home, 'gateway-'));
    chmodSync(path, 0o755);
    return path;
  }

  /** As far as the gate. */
  async toGate(spec: LaunchSpec): Promise<string> {
    const { container_id } = await this.runtime.create(spec);
    await this.runtime.start(spec, container_id);
    await until('the launcher to have looked around', () => existsSync(join(spec.run_directory, 'probe.json')));
    return container_id;
  }

  /** Past the gate. */
  async launch(command: string[] | null, change: Partial<LaunchSpec> = {}): Promise<LaunchSpec> {
    const spec = await this.spec(command, change);
    await this.toGate(spec);
    await this.runtime.begin(spec.agent_id);
    return spec;
  }

  async exit(spec: LaunchSpec): Promise<Exit> {
    const exit = await this.runtime.waitForExit(spec.agent_id, AbortSignal.timeout(30_000));
    if (exit === 'vanished') throw new Error('the container is gone');
    return exit;
  }

  /** What it has written to stdout up to now. */
  output(spec: LaunchSpec): string {
    return readFileSync(join(spec.run_directory, 'out'), 'utf8');
  }

  async close(): Promise<void> {
    for (const id of this.made) await this.runtime.remove(id);
    await noContainerLeft(this.home);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
