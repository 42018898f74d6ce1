import type Docker from 'dockerode';
import type { HealthConfig } from 'dockerode';
import type { PreparedImage, ProgressReport } from '../../domain/container-runtime.js';
import type { ImageFacts } from '../../domain/image-facts.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { abortable } from './abortable.js';
import type { ImageDetails } from './container-options.js';
import { QUICK_SECONDS, within } from './deadline.js';
import { engineFailure, engineStatus } from './engine-errors.js';
import { ImagePull } from './image-pull.js';

/** Images of one engine: present, or pulled; several runs of one image pull it once. */
export class DockerImages {
  private readonly pulls = new Map<string, ImagePull>();
  /** By image id, which stands for its content: what is once read of it never changes. */
  private readonly known = new Map<string, ImageDetails>();

  constructor(
    private readonly docker: Docker,
    private readonly pullTimeoutSeconds: number,
  ) {}

  /** What the name resolves to here; undefined where the engine does not have it. @throws AttemptFailure as `resolve` */
  async find(name: string): Promise<PreparedImage | undefined> {
    try {
      const image = await within(QUICK_SECONDS, this.docker.getImage(name).inspect());
      this.keep(image);
      return { image_id: image.Id, image_digest: digestOf(name, image.RepoDigests) };
    } catch (error) {
      if (engineStatus(error) === 404) return undefined;
      throw engineFailure(error, 'image.unavailable', `The image ${name} can't be looked up`);
    }
  }

  /**
   * What the name resolves to, pulled first if the engine does not have it. A pull goes on when `signal` aborts:
   * others wait for it, or will.
   * @throws AttemptFailure `image.unavailable`, `engine.unavailable`
   */
  async resolve(name: string, report: ProgressReport, signal: AbortSignal): Promise<PreparedImage> {
    const present = await this.find(name);
    if (present) return present;
    signal.throwIfAborted();
    const pull = this.pulls.get(name) ?? this.begin(name);
    const leave = pull.join(report);
    try {
      await abortable(pull.done, signal);
    } finally {
      leave();
    }
    const pulled = await this.find(name);
    if (!pulled)
      throw new AttemptFailure('image.unavailable', `The image ${name} was pulled, but the engine does not have it.`);
    return pulled;
  }

  /** What people see of the image. @throws AttemptFailure `image.unavailable` when it is gone */
  async describe(imageId: string): Promise<ImageFacts> {
    const [{ Size: size_bytes, Config: config }, { command, health_check }] = await Promise.all([
      this.inspect(imageId),
      this.details(imageId),
    ]);
    return {
      ...{ size_bytes, command, user: config.User },
      labels: config.Labels ?? {},
      has_health_check: health_check?.Test !== undefined && health_check.Test[0] !== 'NONE',
    };
  }

  /**
   * What a container is made of; of an image that was seen once, whether it is still there or not.
   * @throws AttemptFailure `image.unavailable` when it is gone
   */
  async details(imageId: string): Promise<ImageDetails> {
    return this.known.get(imageId) ?? this.keep(await this.inspect(imageId));
  }

  private keep(image: Docker.ImageInspectInfo): ImageDetails {
    const details = detailsOf(image);
    this.known.delete(image.Id); // the newest are last
    this.known.set(image.Id, details);
    const [oldest] = this.known.keys();
    if (this.known.size > MAX_KNOWN && oldest !== undefined) this.known.delete(oldest);
    return details;
  }

  private begin(name: string): ImagePull {
    const pull = new ImagePull(this.docker, name, this.pullTimeoutSeconds);
    this.pulls.set(name, pull);
    const end = (): boolean => this.pulls.delete(name);
    pull.done.then(end, end);
    return pull;
  }

  private async inspect(imageId: string): Promise<Docker.ImageInspectInfo> {
    try {
      return await within(QUICK_SECONDS, this.docker.getImage(imageId).inspect());
    } catch (error) {
      if (engineStatus(error) === 404)
        throw new AttemptFailure('image.unavailable', 'The image was removed from this host while the run began.');
      throw engineFailure(error, 'image.unavailable', "The image can't be looked up");
    }
  }
}

function detailsOf({ Config: config }: Docker.ImageInspectInfo): ImageDetails {
  const parts: unknown[] = [config.Entrypoint ?? [], config.Cmd ?? []].flat();
  const { Healthcheck: health_check, Shell: shell } = config as { Healthcheck?: HealthConfig; Shell?: string[] };
  return {
    command: parts.filter((part): part is string => typeof part === 'string'),
    volumes: Object.keys(config.Volumes ?? {}),
    health_check: health_check ?? undefined,
    shell: shell ?? undefined,
  };
}

const MAX_KNOWN = 200; // images that are in use at a time, with room; some hundred bytes each
const MAX_DIGEST = 255; // the column's width

/** `name@sha256:…` of the repository that was asked for; of another one that has the same image, else. */
function digestOf(name: string, digests: string[] | null | undefined): string | null {
  const repository = name.split('@')[0]?.replace(/:[^:/]+$/, '');
  const known = (digests ?? []).filter((digest) => digest.length <= MAX_DIGEST);
  return known.find((digest) => digest.split('@')[0] === repository) ?? known[0] ?? null;
}
