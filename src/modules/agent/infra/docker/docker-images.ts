import { createInterface } from 'node:readline';
import type Docker from 'dockerode';
import type { ProgressReport } from '../../domain/container-runtime.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { QUICK_SECONDS, within } from './deadline.js';
import { engineFailure, engineStatus } from './engine-errors.js';

interface PullEvent {
  id?: string;
  status?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
}

/** Images of one engine: present, or pulled; several runs of one image pull it once. */
export class DockerImages {
  private readonly pulls = new Map<string, Promise<void>>();

  constructor(
    private readonly docker: Docker,
    private readonly pullTimeoutSeconds: number,
  ) {}

  /** Id of the image, pulled first if the engine does not have it. @throws AttemptFailure `image.unavailable` */
  async resolve(name: string, report: ProgressReport, signal: AbortSignal): Promise<string> {
    const present = await this.find(name);
    if (present) return present;
    report(`pulling the image ${name}`, 0);
    let pull = this.pulls.get(name);
    if (!pull) {
      signal.throwIfAborted();
      pull = this.pull(name, report).finally(() => this.pulls.delete(name));
      pull.catch(() => undefined); // told to whoever still waits for it
      this.pulls.set(name, pull);
    }
    await abortable(pull, signal);
    const pulled = await this.find(name);
    if (!pulled)
      throw new AttemptFailure('image.unavailable', `The image ${name} was pulled, but the engine does not have it.`);
    return pulled;
  }

  /** What the image itself would run. */
  async defaultCommand(imageId: string): Promise<string[]> {
    const { Config: config } = await within(QUICK_SECONDS, this.docker.getImage(imageId).inspect());
    const parts = [config.Entrypoint ?? [], config.Cmd ?? []].flat();
    return parts.filter((part): part is string => typeof part === 'string');
  }

  private async find(name: string): Promise<string | undefined> {
    try {
      return (await within(QUICK_SECONDS, this.docker.getImage(name).inspect())).Id;
    } catch (error) {
      if (engineStatus(error) === 404) return undefined;
      throw engineFailure(error, 'image.unavailable', `The image ${name} can't be looked up`);
    }
  }

  private async pull(name: string, report: ProgressReport): Promise<void> {
    const timeout = AbortSignal.timeout(this.pullTimeoutSeconds * 1000);
    try {
      const stream: NodeJS.ReadableStream = await this.docker.pull(name, { abortSignal: timeout });
      const layers = new Map<string, { current: number; total: number }>();
      let told = 0;
      for await (const { id, error, progressDetail } of pullEvents(stream)) {
        if (error) throw new AttemptFailure('image.unavailable', `The image ${name} can't be pulled: ${error}`);
        if (id && progressDetail?.total)
          layers.set(id, { current: progressDetail.current ?? 0, total: progressDetail.total });
        const percent = percentOf([...layers.values()]);
        if (percent >= told + 5) report(`pulling the image ${name}: ${layers.size} layers`, (told = percent));
      }
    } catch (error) {
      if (timeout.aborted)
        throw new AttemptFailure(
          'image.unavailable',
          `The image ${name} could not be pulled within ${this.pullTimeoutSeconds} s.`,
        );
      throw engineFailure(error, 'image.unavailable', `The image ${name} is not on this host and can't be pulled`);
    }
  }
}

/** The engine's progress lines; what is no JSON (a proxy's page) is told as an error. */
async function* pullEvents(stream: NodeJS.ReadableStream): AsyncGenerator<PullEvent> {
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    if (line.trim() === '') continue;
    try {
      yield JSON.parse(line) as PullEvent;
    } catch {
      yield { error: `the engine answered ${JSON.stringify(line.slice(0, 100))}` };
    }
  }
}

function percentOf(layers: { current: number; total: number }[]): number {
  const total = layers.reduce((sum, layer) => sum + layer.total, 0);
  return total === 0 ? 0 : Math.floor((100 * layers.reduce((sum, layer) => sum + layer.current, 0)) / total);
}

/** The promise, or a rejection as soon as `signal` aborts; the promise itself goes on. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}
