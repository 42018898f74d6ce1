import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type Docker from 'dockerode';
import type { ContainerCreateOptions } from 'dockerode';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { productVersion } from '../../../../common/http/api-document/product-version.js';
import { AGENT_USER } from '../../app/launch-spec.js';
import type { AgentUser, LaunchSpec } from '../../domain/container-runtime.js';
import { compareSandbox } from '../../domain/sandbox-policy.js';
import type { SandboxProbe } from '../../domain/sandbox.js';
import { needsChown } from '../agent-user.js';
import { containerName, LABEL_HOME, LABEL_HOME_PATH } from './container-options.js';
import { ContainerRecipe } from './container-recipe.js';
import { LAUNCHER_TARGET } from './container-targets.js';
import { QUICK_SECONDS, SLOW_SECONDS, within } from './deadline.js';
import { DOCKER } from './docker-client.js';
import { EngineReader } from './engine-reader.js';
import { namesOfMounts } from './sandbox-mounts.js';
import { readProbe } from './sandbox-probe-file.js';
import { inspectedPolicy, requestedPolicy } from './sandbox-reader.js';

/** An image without a single file, made on the spot: no registry is asked. */
const REPOSITORY = 'kandev/probe';
const NO_FILES = Buffer.alloc(1024); // two empty records: the end of an archive
const LABEL_TRIAL = 'kandev.trial';
const TRIALS = { label: [LABEL_TRIAL] };
/** No trial takes that long: each call of it has a limit. */
const OLD_MS = 3_600_000;
const LOOK_AGAIN_MS = 10;
const LIMITS = { cpu_limit: '0.5', memory_limit: '64m' };

/** Tries a container under the walls that agents get, to see whether an engine holds what it says that it can. */
@Injectable()
export class EngineTrial {
  constructor(
    @Inject(DOCKER) private readonly docker: Docker,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(AGENT_USER) private readonly user: AgentUser,
    private readonly engine: EngineReader,
  ) {}

  /**
   * Runs one and takes everything away again. What is there of a trial that was cut off, goes first.
   * @returns differences between what was asked for and what was seen, in words
   * @throws what the engine's client throws; Error when the container does not look around in time
   */
  async run(): Promise<string[]> {
    await this.removeLeft();
    try {
      const spec = this.spec(await this.makeImage());
      await this.makeDirectories(spec);
      return await this.compare(spec);
    } finally {
      await this.removeLeft().catch(() => undefined); // or by the next one
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  private get directory(): string {
    return join(this.config.home, 'engine-trial');
  }

  private async compare(spec: LaunchSpec): Promise<string[]> {
    const capabilities = await this.engine.capabilities();
    const options = await this.create(spec);
    const container = this.docker.getContainer(containerName(spec.agent_id));
    const nameOf = namesOfMounts(spec, this.config.home);
    const policy = requestedPolicy(options, nameOf, capabilities);
    // Asked before the start: it ends by itself within milliseconds. Of AppArmor the look from inside tells.
    const seen = await within(QUICK_SECONDS, container.inspect());
    const inspected = { ...inspectedPolicy(seen, nameOf, capabilities), apparmor: policy.apparmor };
    await within(SLOW_SECONDS, container.start());
    const probe = await this.lookInside(spec);
    return compareSandbox({ policy, network: spec.network }, inspected, probe, capabilities).differences;
  }

  private async lookInside(spec: LaunchSpec): Promise<SandboxProbe> {
    const deadline = Date.now() + QUICK_SECONDS * 1000;
    for (;;) {
      const probe = await readProbe(spec.run_directory);
      if (probe) return probe;
      if (Date.now() > deadline) throw new Error('the container that was tried has told nothing');
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** Returns what it was asked for. */
  private async create(spec: LaunchSpec): Promise<ContainerCreateOptions> {
    const { host_id, home } = this.config;
    const { name, ...body } = await new ContainerRecipe(this.docker, this.config).options(spec);
    body.Labels = { [LABEL_HOME]: host_id, [LABEL_HOME_PATH]: home, [LABEL_TRIAL]: host_id };
    body.Entrypoint = [LAUNCHER_TARGET, 'look'];
    body.HostConfig = { ...body.HostConfig, AutoRemove: true }; // also when this server is killed meanwhile
    const request: object = { _query: { name }, _body: body };
    await within(SLOW_SECONDS, this.docker.createContainer(request));
    return body;
  }

  /** Its id: other servers on this engine make theirs under the same name. */
  private async makeImage(): Promise<string> {
    const changes = `LABEL ${LABEL_TRIAL}=${this.config.host_id}`;
    const name = { repo: REPOSITORY, tag: productVersion(), changes };
    const answer = await within(QUICK_SECONDS, this.docker.importImage(Readable.from([NO_FILES]), name));
    const [id] = /sha256:[0-9a-f]{64}/.exec(await within(QUICK_SECONDS, text(answer))) ?? [];
    if (id === undefined) throw new Error('the engine made an image and did not name it');
    return id;
  }

  /**
   * What is left of a trial: a container removes itself when it ends, unless the server was killed before its start.
   * What other servers have left is taken away when it is old: they may not come back.
   */
  private async removeLeft(): Promise<void> {
    const deadline = Date.now() + QUICK_SECONDS * 1000;
    for (;;) {
      const left = await within(QUICK_SECONDS, this.docker.listContainers({ all: true, filters: TRIALS }));
      const removable = left.filter((one) => this.isLeft(one));
      if (removable.length === 0 || Date.now() > deadline) break;
      for (const { Id: id } of removable) {
        const container = this.docker.getContainer(id);
        await within(SLOW_SECONDS, container.remove({ force: true, v: true })).catch(() => undefined); // goes already
      }
      await sleep(LOOK_AGAIN_MS);
    }
    const images = await within(QUICK_SECONDS, this.docker.listImages({ filters: TRIALS }));
    for (const { Id: id } of images.filter((one) => this.isLeft(one))) {
      await within(SLOW_SECONDS, this.docker.getImage(id).remove()).catch(() => undefined); // by the next one, then
    }
  }

  private isLeft({ Labels: labels, Created: seconds }: { Labels?: Record<string, string>; Created: number }): boolean {
    return labels?.[LABEL_TRIAL] === this.config.host_id || Date.now() - seconds * 1000 > OLD_MS;
  }

  private spec(image_id: string): LaunchSpec {
    const agent_id = randomUUID();
    return {
      ...{ agent_id, run_id: agent_id, task_id: agent_id, image_name: REPOSITORY, image_id, command: ['none'] },
      ...{ environment: {}, limits: LIMITS, max_file_bytes: null, credentials: [], user: this.user },
      ...{ network: 'isolated', gateway_directory: null },
      workspace_directory: join(this.directory, 'workspace'),
      home_directory: join(this.directory, 'home'),
      tmp_directory: join(this.directory, 'tmp'),
      run_directory: join(this.directory, 'run'),
    };
  }

  private async makeDirectories(spec: LaunchSpec): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    const { workspace_directory, home_directory, tmp_directory, run_directory } = spec;
    for (const directory of [workspace_directory, home_directory, tmp_directory, run_directory]) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      if (needsChown(this.user)) await chown(directory, this.user.uid, this.user.gid);
    }
  }
}
