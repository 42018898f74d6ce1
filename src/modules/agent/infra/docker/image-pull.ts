import { createInterface } from 'node:readline';
import type Docker from 'dockerode';
import type { ProgressDetails, ProgressReport } from '../../domain/container-runtime.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { engineFailure } from './engine-errors.js';
import { PullProgress, type PullEvent } from './pull-progress.js';

/** Each message is stored: every one of them tells something new, and they come slowly enough to be read. */
const STEP_PERCENT = 5;
const STEP_MS = 300;

/** One pull of an image, and all who wait for it: each of them is told how far it is. */
export class ImagePull {
  /** Rejects with an AttemptFailure `image.unavailable` or `engine.unavailable`. */
  readonly done: Promise<void>;
  private readonly reports = new Set<ProgressReport>();
  private readonly progress = new PullProgress();
  private told = { percent: 0, at: 0 };

  constructor(
    private readonly docker: Docker,
    private readonly name: string,
    private readonly timeoutSeconds: number,
  ) {
    this.done = this.pull();
    this.done.catch(() => undefined); // told to whoever still waits for it
  }

  /** Tells how far it is, now and from now on. @returns what ends that */
  join(report: ProgressReport): () => void {
    const mine: ProgressReport = (message, details) => report(message, details);
    this.reports.add(mine);
    const details = this.progress.details();
    mine(this.words(details), details);
    return () => this.reports.delete(mine);
  }

  private async pull(): Promise<void> {
    const timeout = AbortSignal.timeout(this.timeoutSeconds * 1000);
    try {
      const stream: NodeJS.ReadableStream = await this.docker.pull(this.name, { abortSignal: timeout });
      for await (const event of pullEvents(stream)) {
        if (event.error)
          throw new AttemptFailure('image.unavailable', `The image ${this.name} can't be pulled: ${event.error}`);
        this.progress.note(event);
        this.tell();
      }
    } catch (error) {
      if (timeout.aborted)
        throw new AttemptFailure(
          'image.unavailable',
          `The image ${this.name} could not be pulled within ${this.timeoutSeconds} s.`,
        );
      throw engineFailure(error, 'image.unavailable', `The image ${this.name} is not on this host and can't be pulled`);
    }
  }

  private tell(): void {
    const details = this.progress.details();
    const now = Date.now();
    const isNews = details.percent >= this.told.percent + STEP_PERCENT && now >= this.told.at + STEP_MS;
    const isLast = details.percent === 100 && this.told.percent < 100;
    if (!isNews && !isLast) return;
    this.told = { percent: details.percent, at: now };
    for (const report of this.reports) report(this.words(details), details);
  }

  private words({ layers_done, layers_total, bytes_done, bytes_total }: ProgressDetails): string {
    const pulling = `pulling the image ${this.name}`;
    if (!layers_total) return pulling;
    const layers = `${layers_done} of ${layers_total} layers`;
    return `${pulling}: ${layers}${bytes_total ? `, ${megabytes(bytes_done)} of ${megabytes(bytes_total)} MB` : ''}`;
  }
}

function megabytes(bytes: string | number | undefined): string {
  return (Number(bytes) / 1e6).toFixed(1);
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
