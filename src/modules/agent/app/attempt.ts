import { faultPoint } from '../../../common/ops/fault-points.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import { AgentClock } from '../domain/agent-clock.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ContainerRuntime, LaunchSpec, ProgressReport } from '../domain/container-runtime.js';
import type { Granted } from '../domain/credentials.js';
import { AttemptFailure, decideOutcome, type Exit, type FailureCode, type Outcome } from '../domain/outcome.js';
import { engineLimits } from '../domain/resource-limits.js';
import { effectiveTimeouts, inactive, outOfTime } from '../domain/timeouts.js';
import type { LaunchPart } from './agent-metrics.js';
import { AttemptHold } from './attempt-hold.js';
import type { Claim } from './instance-lock.js';
import { OutputCapture } from './output-capture.js';
import { ProgressTeller } from './progress-teller.js';
import type { AttemptTools } from './attempt-tools.js';

class StopWished extends Error {}

const BY_TIME: ReadonlySet<FailureCode> = new Set(['agent.inactive', 'agent.timeout']);

/**
 * One attempt, from its row to its end. Everything it does can be done again: `run` looks at what is there (row,
 * disk, container, output) and goes on from that point, so taking over after a crash is the same call.
 */
export class Attempt {
  private readonly stopWish = new AbortController();
  private stopping = false;
  /** Why the server itself has ended the agent; outlives an interruption between the kill and the end. */
  private killedFor: AttemptFailure | null = null;
  private readonly runtime: ContainerRuntime;
  private readonly clock: AgentClock;
  private readonly holding: AttemptHold;

  constructor(
    private readonly claim: Claim,
    private readonly task: AttemptTask,
    instance: AgentInstance,
    private readonly tools: AttemptTools,
  ) {
    this.runtime = tools.runtimes.get(instance.runtime);
    this.clock = new AgentClock(instance);
    this.holding = new AttemptHold(claim, this.runtime, tools.condition, this.clock);
  }

  /**
   * Resolves when the attempt has ended, or was found ended. `signal` lets go of it: the agent lives on.
   * @throws Fenced; the signal's reason; whatever stands in the way (database, engine): call again
   */
  async run(signal: AbortSignal): Promise<void> {
    const instance = await this.tools.journal.read(this.claim);
    try {
      if (instance.isLive()) {
        if (instance.stop_requested_at) this.stopWish.abort(new StopWished());
        if (await this.isUp(instance, signal)) await this.follow(instance, signal);
      }
    } finally {
      await this.tools.supplies.letGo(instance.id);
    }
    await this.cleanUp(instance);
  }

  /** Ends the agent: asks first, kills after the grace time; `force` kills at once. The wish itself is in the row. */
  async stop(force: boolean): Promise<void> {
    this.stopWish.abort(new StopWished());
    if (this.stopping && !force) return; // asked for again and again until it has worked
    const { agent_id } = this.claim;
    this.stopping = true;
    try {
      if (!force) await this.tools.runDirectories.sendControl(agent_id, { type: 'control', action: 'stop' });
      await this.runtime.stop(agent_id, force ? 0 : this.tools.config.agent.stop_grace_seconds);
    } finally {
      this.stopping = false;
    }
  }

  /** Holds the agent still or lets it go on; one that is being stopped is not held any more. @throws Fenced */
  async hold(held: boolean): Promise<void> {
    await this.holding.set(held, () => this.stopWish.signal.aborted);
  }

  /** Ends the agent at once for a reason of the server's own, which is in the row first: it outlives a kill. @throws Fenced */
  async endFor(failure: AttemptFailure): Promise<void> {
    if (BY_TIME.has(failure.code)) {
      // One that is being stopped has its grace time, and one that has just ended by itself has kept within its time.
      if (this.stopWish.signal.aborted) return;
      if ((await this.runtime.inspect(this.claim.agent_id)).state !== 'running') return;
    }
    this.killedFor ??= failure;
    const { code: failure_code, message: error_message } = this.killedFor;
    await this.tools.journal.record(this.claim, { failure_code, error_message });
    await this.runtime.stop(this.claim.agent_id, 0);
  }

  /** The server gives up on the attempt for a reason of its own. */
  async giveUp(failure: AttemptFailure): Promise<void> {
    await this.tools.journal.ended(this.claim, failed(failure), []);
    await this.runtime.remove(this.claim.agent_id);
  }

  /** Told in the stream, so that people see why an agent can't do what it wants. */
  private readonly refused = (message: string): void => {
    this.tools.journal.warn(this.claim, message).catch(() => undefined); // a hint; the metrics have counted it
  };

  /** Brings the agent up unless it is; false when that has ended the attempt. */
  private async isUp(instance: AgentInstance, signal: AbortSignal): Promise<boolean> {
    if (instance.status !== 'PENDING' && instance.status !== 'STARTING') {
      await this.tools.supplies.reopen(instance, this.refused);
      return true;
    }
    // Where nothing was made yet, an engine that is away is the user's to know; later it is ours to wait for.
    const toLaunch = instance.status === 'PENDING' || (await this.hasNotBegun(instance.id));
    try {
      if (toLaunch) await this.launch(instance, AbortSignal.any([signal, this.stopWish.signal]));
      else await this.tools.supplies.reopen(instance, this.refused);
    } catch (error) {
      const outcome = earlyOutcome(error);
      if (!outcome) throw error;
      await this.tools.journal.ended(this.claim, outcome, []);
      return false;
    }
    await this.tools.journal.started(this.claim);
    faultPoint('agent.running');
    return true;
  }

  /** Whether the agent's command is still to come: nothing is made, or it waits at the gate. */
  private async hasNotBegun(agentId: string): Promise<boolean> {
    if (await this.tools.runDirectories.hasBegun(agentId)) return false;
    const { state } = await this.runtime.inspect(agentId);
    return (
      state === 'created' ||
      state === 'running' ||
      (state === 'absent' && !(await this.tools.runDirectories.wasStarted(agentId)))
    );
  }

  private async launch(instance: AgentInstance, signal: AbortSignal): Promise<void> {
    const { journal, supplies, metrics } = this.tools;
    signal.throwIfAborted();
    await journal.preparing(this.claim);
    const { spec, granted } = await this.prepare(instance, 'preparation', (report) =>
      supplies.prepare(instance, this.task, { report, refused: this.refused }, signal),
    );
    if (instance.image_id == null) {
      const { image_id, image_digest } = await this.prepare(instance, 'image', (report) =>
        this.runtime.prepareImage(instance.image_name, report, signal),
      );
      Object.assign(instance, { image_id, image_digest });
      await journal.record(this.claim, { image_id, image_digest });
    }
    faultPoint('image.resolved');
    spec.image_id = instance.image_id ?? null;
    await metrics.timed(instance.agent_type, 'launch', () => this.begin(spec, granted, signal));
  }

  /** One part of the preparation, measured; what it reports is told before it is over. */
  private async prepare<T>(
    { agent_type }: AgentInstance,
    part: LaunchPart,
    work: (report: ProgressReport) => Promise<T>,
  ): Promise<T> {
    const { journal, metrics } = this.tools;
    const teller = new ProgressTeller((message, details) => journal.tell(this.claim, 'preparation', message, details));
    try {
      return await metrics.timed(agent_type, part, () => work((message, details) => teller.report(message, details)));
    } finally {
      await teller.flush();
    }
  }

  /** Ends the attempt of a container that is not confined as it has to be; before its start by the engine's word alone. */
  private async verify(spec: LaunchSpec, signal: AbortSignal): Promise<void> {
    const sandbox = await this.runtime.verify(spec);
    if (!sandbox) return;
    const { probe, differences } = sandbox;
    if (probe || differences.length > 0) await this.tools.journal.record(this.claim, { sandbox });
    signal.throwIfAborted(); // one that was stopped at the gate has an end of its own
    if (differences.length > 0) throw mismatch(differences);
  }

  /** From a container that is made to the agent's first instruction. */
  private async begin(spec: LaunchSpec, granted: Granted, signal: AbortSignal): Promise<void> {
    const { journal } = this.tools;
    const created = await this.runtime.create(spec);
    faultPoint('container.created');
    signal.throwIfAborted();
    // The last fence before the agent runs.
    await journal.created(this.claim, created, granted);
    faultPoint('container.recorded');
    await this.verify(spec, signal); // what runs first, and with which rights, is looked at before anything runs
    await this.runtime.start(spec, created.container_id);
    faultPoint('container.started');
    await this.verify(spec, signal);
    faultPoint('container.verified');
    signal.throwIfAborted();
    await this.runtime.begin(spec.agent_id);
    faultPoint('container.begun');
  }

  private async follow(instance: AgentInstance, signal: AbortSignal): Promise<void> {
    const { journal, transactions, log, runDirectories, redactors, config } = this.tools;
    const fresh = await journal.read(this.claim);
    this.clock.set(fresh);
    if (fresh.failure_code)
      this.killedFor ??= new AttemptFailure(fresh.failure_code as FailureCode, fresh.error_message ?? '');
    const leaving = new AbortController();
    const either = AbortSignal.any([signal, leaving.signal]);
    const { task_id, run_id, id: agent_id, stdout_offset, stderr_offset } = fresh;
    const target = { task_id, run_id, agent_id, epoch: this.claim.epoch, stdout_offset, stderr_offset };
    const timeouts = effectiveTimeouts(fresh, {}, config.agent);
    const capture = new OutputCapture(target, {
      transactions,
      log,
      runDirectories,
      redactor: await redactors.of(agent_id),
      breach: (failure) => this.endFor(failure),
      limits: { max_output_bytes: config.agent.max_output_bytes, ...timeouts },
      failures: {
        inactive: () => inactive(timeouts.inactivity_timeout_seconds, this.task),
        outOfTime: () => outOfTime(timeouts.wall_clock_timeout_seconds, this.task),
      },
      clock: this.clock,
    });
    const { disk_bytes } = engineLimits(fresh.resource_limits ?? {});
    const unwatch = disk_bytes
      ? this.tools.diskWatch.watch({ task_id, agent_id, limit: disk_bytes }, (failure) => this.endFor(failure))
      : undefined;
    const exited = this.runtime.waitForExit(agent_id, either).finally(() => capture.agentHasEnded());
    exited.catch(() => undefined); // awaited below; until then its rejection is nobody's
    // A stop that fails here is asked for again by whoever wants the run stopped.
    if (this.stopWish.signal.aborted) this.stop(false).catch(() => undefined);
    try {
      await capture.run(either);
      await this.conclude(instance, await exited);
    } finally {
      unwatch?.();
      leaving.abort();
    }
  }

  private async conclude(instance: AgentInstance, exit: Exit | 'vanished'): Promise<void> {
    faultPoint('agent.exited');
    const { journal, artifacts, runDirectories } = this.tools;
    const { result_status, result_summary, stop_requested_at, resource_limits } = await journal.read(this.claim);
    const stopped = this.stopWish.signal.aborted || stop_requested_at != null;
    // An agent that could not write any more says so in its own words, if at all.
    const full =
      failedByItself(exit, result_status ?? null) && !stopped ? await this.tools.supplies.fullDisk(instance) : null;
    const outcome = decideOutcome({
      exit,
      killed_for: this.killedFor ?? full,
      result_status: result_status ?? null,
      result_summary: result_summary ?? null,
      stop_requested: stop_requested_at != null,
      memory_limit: resource_limits?.memory_limit,
      never_began: !(await runDirectories.hasBegun(instance.id)),
    });
    const collected = await artifacts.collect(instance);
    faultPoint('artifacts.collected');
    await journal.ended(this.claim, outcome, collected);
    faultPoint('agent.ended');
    await artifacts.settle(instance);
  }

  /** The rows have all of it: container and run directory may go. A kill before leaves it to the sweeper. */
  private async cleanUp({ id, task_id }: AgentInstance): Promise<void> {
    await this.runtime.remove(id);
    faultPoint('container.removed');
    await this.tools.supplies.remove(id, task_id);
  }
}

function failedByItself(exit: Exit | 'vanished', result: 'completed' | 'failed' | null): boolean {
  if (result !== null) return result === 'failed';
  return exit !== 'vanished' && exit.exit_code !== 0;
}

function mismatch(differences: readonly string[]): AttemptFailure {
  return new AttemptFailure(
    'container.sandbox_mismatch',
    `The container is not confined as it has to be, so the agent was not started: ${differences.join('; ')}.`,
  );
}

/** The outcome of what ends an attempt before its agent could run; undefined for what does not end it. */
function earlyOutcome(error: unknown): Outcome | undefined {
  if (error instanceof StopWished) {
    return {
      trigger: 'stopped',
      exit_code: null,
      failure_code: 'agent.stopped',
      message: 'Stopped before the agent was started.',
    };
  }
  return error instanceof AttemptFailure ? failed(error) : undefined;
}

function failed(failure: AttemptFailure): Outcome {
  return { trigger: 'failed', exit_code: null, failure_code: failure.code, message: failure.message };
}
