import type Docker from 'dockerode';
import type { ContainerCreateOptions } from 'dockerode';
import type { Config } from '../../../../common/config/config.js';
import type { LaunchSpec } from '../../domain/container-runtime.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { containerOptions } from './container-options.js';
import { DockerImages } from './docker-images.js';
import { enginePlatform, type EnginePlatform } from './engine-platform.js';
import { LauncherFile } from './launcher-file.js';
import { OpenNetwork } from './open-network.js';

/** Brings together what a container is made of: the image's own words, the launcher, the network. */
export class ContainerRecipe {
  readonly images: DockerImages;
  readonly open_network: OpenNetwork;
  private readonly home: { id: string; path: string };
  private readonly launcher: LauncherFile;
  private readonly platform: () => Promise<EnginePlatform>;

  constructor(docker: Docker, config: Config) {
    this.home = { id: config.host_id, path: config.home };
    this.images = new DockerImages(docker, config.agent.pull_timeout_seconds);
    this.open_network = new OpenNetwork(docker, this.home);
    this.launcher = new LauncherFile(config.home);
    this.platform = enginePlatform(docker);
  }

  /**
   * The request for the agent's container; the same whenever it is asked for.
   * @throws AttemptFailure; what the engine's client throws when the engine does not answer
   */
  async options(spec: LaunchSpec): Promise<ContainerCreateOptions> {
    const [image, engine] = await Promise.all([this.images.details(spec.image_id ?? spec.image_name), this.platform()]);
    const command = spec.command ?? image.command;
    if (command.length === 0) {
      throw new AttemptFailure(
        'container.start_failed',
        `The image ${spec.image_name} names no command, and neither does the agent type.`,
      );
    }
    const launcher = await this.launcher.path(engine.architecture);
    return containerOptions(spec, command, {
      ...{ image, engine, launcher },
      ...{ home: this.home, open_network: this.open_network.name },
    });
  }
}
