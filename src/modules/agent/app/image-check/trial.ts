import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentUser, ContainerRuntime, LaunchSpec } from '../../domain/container-runtime.js';
import type { Exit } from '../../domain/outcome.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { notStarted } from '../../domain/start-failure.js';
import type { OutputSource, RunDirectories } from '../../domain/run-directory.js';
import { eachLine, MAX_LINE_BYTES, readLines } from '../output-lines.js';
import type { TrialRun } from './image-check.types.js';
import { nothingSeen, seeLine } from './output-seen.js';
import type { TrialTalk } from './trial-talk.js';

const LOOK_MS = 50;
const MEMORY_EVERY = 10; // looks
/** What a stopped agent may take, as with the server's default. */
const GRACE_SECONDS = 10;
/** The same where it has answered all that was asked: what it has to keep for the next start is kept by then. */
const LEAVE_SECONDS = 3;
/** Without a line by then it is asked to stop all the same: programs set up their signals while they start. */
const SETTLE_MS = 3_000;
const MAX_BYTES = 64 * 1024 * 1024; // more than a trial has to say

/** What a trial needs of the host. */
export interface TrialTools {
  runtime: ContainerRuntime;
  runDirectories: RunDirectories;
  user: AgentUser;
}

/** One run of an image: to its end, or until it is asked to stop. Whatever happens, nothing of it stays. */
export class Trial {
  private readonly seen: TrialRun = {
    ...{ begun: false, launch_error: null, differences: [], uid: null, first_output_ms: null },
    ...{ output: nothingSeen(), exit: null, stop_ms: null, memory_peak_bytes: null },
    session: null,
  };
  private readonly offsets: Record<OutputSource, number> = { stdout: 0, stderr: 0 };
  private begunAt = 0;

  constructor(
    private readonly spec: LaunchSpec,
    private readonly tools: TrialTools,
    /** Of an agent that waits for its client. */
    private readonly talk: TrialTalk | null = null,
  ) {}

  /**
   * Runs it for at most `seconds`; with `stop`, asks it to end as soon as it has said something. One that is talked to
   * is asked when all has been said, with or without it.
   */
  async run(seconds: number, stop: boolean, signal: AbortSignal): Promise<TrialRun> {
    try {
      await this.launch();
      if (this.seen.begun) await this.watch(seconds, stop, signal);
    } catch (error) {
      if (!(error instanceof AttemptFailure)) throw error;
      this.seen.launch_error = error.message;
    } finally {
      await this.tools.runtime.remove(this.spec.agent_id);
    }
    this.seen.session = this.seen.begun ? (this.talk?.facts ?? null) : null;
    return this.seen;
  }

  private async launch(): Promise<void> {
    const { runtime, runDirectories, user } = this.tools;
    const { agent_id } = this.spec;
    await runDirectories.prepare(agent_id, { task: { title: 'A trial', description: '' }, api_key: 'none' }, user, {
      feed: this.talk !== null,
    });
    const { container_id } = await runtime.create(this.spec);
    await runtime.start(this.spec, container_id);
    const report = await runtime.verify(this.spec);
    this.seen.uid = report?.probe?.uid ?? null;
    this.seen.differences = report?.differences ?? [];
    if (this.seen.differences.length > 0) return;
    await runtime.begin(agent_id);
    this.begunAt = performance.now();
    this.seen.begun = true;
    await this.talk?.begin();
  }

  private async watch(seconds: number, stop: boolean, signal: AbortSignal): Promise<void> {
    const { runtime } = this.tools;
    for (let look = 0; this.elapsed < seconds * 1000; look++) {
      signal.throwIfAborted();
      this.seen.exit = await this.ended();
      await this.read(this.seen.exit !== null);
      if (this.seen.exit) return this.judgeExit(this.seen.exit);
      if (look % MEMORY_EVERY === 0) await this.measure();
      if (this.talk?.isOver) return this.stop(stop ? GRACE_SECONDS : LEAVE_SECONDS);
      if (!this.talk && stop && (this.seen.first_output_ms !== null || this.elapsed > SETTLE_MS)) return this.stop();
      await sleep(LOOK_MS, undefined, { signal });
    }
    if (this.talk && stop) return this.stop(); // it says nothing, but may hear a signal
    await runtime.stop(this.spec.agent_id, 0);
  }

  private async stop(graceSeconds = GRACE_SECONDS): Promise<void> {
    const since = performance.now();
    await this.tools.runtime.stop(this.spec.agent_id, graceSeconds);
    this.seen.stop_ms = Math.round(performance.now() - since);
    this.seen.exit = await this.ended();
    await this.read(true);
  }

  /** A command that could not be executed ends as one that was. */
  private judgeExit({ error, start_failure }: Exit): void {
    if (error === undefined && start_failure === undefined) return;
    this.seen.begun = false;
    this.seen.launch_error = start_failure ? notStarted(start_failure) : (error ?? null);
  }

  private async measure(): Promise<void> {
    const usage = await this.tools.runtime.usage(this.spec.agent_id);
    const now = usage?.memory_bytes ?? null;
    if (now !== null) this.seen.memory_peak_bytes = Math.max(now, this.seen.memory_peak_bytes ?? 0);
  }

  private async ended(): Promise<Exit | null> {
    const observed = await this.tools.runtime.inspect(this.spec.agent_id);
    return observed.state === 'exited' ? observed.exit : null;
  }

  private async read(atEnd: boolean): Promise<void> {
    for (const source of ['stdout', 'stderr'] as const) {
      if (source === 'stdout' && this.talk) {
        const isHeard = await this.talk.listen(atEnd, (line) => seeLine(this.seen.output, line));
        if (isHeard) this.seen.first_output_ms ??= Math.round(this.elapsed);
        continue;
      }
      const file = await this.tools.runDirectories.openOutput(this.spec.agent_id, source);
      if (!file) continue;
      try {
        for (let more = true; more && this.seen.output.bytes < MAX_BYTES;) {
          const request = { offset: this.offsets[source], atEnd, bytes: MAX_LINE_BYTES, context: 0 };
          const found = await readLines(file, source, request);
          for (const line of eachLine(found, source)) seeLine(this.seen.output, line);
          const { next_offset } = found;
          more = next_offset !== this.offsets[source];
          this.offsets[source] = next_offset;
          if (more) this.seen.first_output_ms ??= Math.round(this.elapsed);
        }
      } finally {
        await file.close();
      }
    }
  }

  private get elapsed(): number {
    return performance.now() - this.begunAt;
  }
}
