import { faultPoint } from '../../../common/ops/fault-points.js';
import { GetAttemptCapsQuery } from '../../orchestrator/contracts/budget.queries.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AttemptCaps } from '../contracts/usage.queries.js';
import { AgentClock } from '../domain/agent-clock.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { AttemptBudget } from '../domain/attempt-budget.js';
import type { ContainerRuntime } from '../domain/container-runtime.js';
import { AttemptFailure, type FailureCode } from '../domain/outcome.js';
import type { Redactor } from '../domain/redaction.js';
import { engineLimits } from '../domain/resource-limits.js';
import { effectiveTimeouts, inactive, outOfTime } from '../domain/timeouts.js';
import { AttemptHold } from './attempt-hold.js';
import { bringUp, failed, StopWished, type Ready } from './attempt-ready.js';
import { concludeAttempt } from './conclude-attempt.js';
import type { Claim } from './instance-lock.js';
import { DialogueCapture } from './dialogue-capture.js';
import { OutputCapture, type CaptureTarget } from './output-capture.js';
import type { AttemptTools } from './attempt-tools.js';
import { stopUntil } from './stop-until.js';

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
  /** While its output is read. */
  private capture: OutputCapture | undefined;
  /** The same, of an agent that speaks the Agent Client Protocol. */
  private dialogue: DialogueCapture | undefined;
  private readonly runtime: ContainerRuntime;
  private readonly clock: AgentClock;
  private readonly budget = new AttemptBudget();
  private readonly holding: AttemptHold;
  private readonly instance: AgentInstance;
  /** Its row was made a moment ago, and nothing else: there is nothing to look at. */
  private isNew: boolean;
  /** The gate was opened, or was about to be: by this process's word, not by what the agent leaves of its start. */
  private letThrough: boolean;

  constructor(
    private readonly claim: Claim,
    private readonly task: AttemptTask,
    { instance, isNew }: { instance: AgentInstance; isNew: boolean },
    private readonly tools: AttemptTools,
  ) {
    this.instance = instance;
    this.isNew = isNew;
    this.letThrough = instance.status === 'RUNNING' || instance.status === 'PAUSED';
    this.runtime = tools.runtimes.get(instance.runtime);
    this.clock = new AgentClock(instance);
    this.holding = new AttemptHold(claim, this.runtime, tools.condition, this.clock);
  }

  /**
   * Resolves when the attempt has ended, or was found ended. `signal` ends the call: the agent lives on.
   * @throws Fenced; the signal's reason; whatever stands in the way (database, engine): call again, and until then the
   *   agent has its gateway and its keys. Whoever does not call again calls `letGo`
   */
  async run(signal: AbortSignal): Promise<void> {
    const isNew = this.isNew;
    this.isNew = false;
    const instance = isNew ? this.instance : await this.tools.journal.read(this.claim);
    if (instance.isLive()) {
      if (instance.stop_requested_at) this.stopWish.abort(new StopWished());
      const asked = this.askBudgets(instance); // while it is brought up; known before its output is read
      asked.catch(() => undefined); // awaited where it is needed
      const either = AbortSignal.any([signal, this.stopWish.signal]);
      const ready = await bringUp({ claim: this.claim, task: this.task, tools: this.tools }, instance, isNew, either);
      if (ready) {
        await asked;
        await this.follow(ready.instance, ready.open, signal);
      }
    }
    await this.cleanUp(instance);
  }

  /** Resolves when what the agent has written by now is stored. */
  async caughtUp(): Promise<void> {
    await this.capture?.caughtUp();
  }

  /** This server looks after the attempt no more: what lives in this process for its agent ends. Of one that is over: nothing. */
  async letGo(): Promise<void> {
    await this.tools.supplies.letGo(this.claim.agent_id, this.instance.task_id);
  }

  /** Ends the agent: asks first, kills after the grace time; `force` kills at once. The wish itself is in the row. */
  async stop(force: boolean): Promise<void> {
    this.stopWish.abort(new StopWished());
    if (this.stopping && !force) return; // asked for again and again until it has worked
    const { agent_id } = this.claim;
    this.stopping = true;
    try {
      if (!force) await this.askToEnd();
      await this.runtime.stop(agent_id, force ? 0 : this.tools.config.agent.stop_grace_seconds);
    } finally {
      this.stopping = false;
    }
  }

  /** Holds the agent still or lets it go on; one that is being stopped is not held any more. @throws Fenced */
  async hold(held: boolean): Promise<void> {
    await this.holding.set(held, () => this.stopWish.signal.aborted);
  }

  /** Holds the agent still while nobody can tell whether it is ours; says whether it was at work. {@link hold} ends it. */
  freeze(): Promise<boolean> {
    return this.holding.freeze(async () => this.letThrough || this.tools.runDirectories.hasBegun(this.claim.agent_id));
  }

  /** What it may use from now on; null: as much as it wants. */
  limit(caps: AttemptCaps | null): void {
    this.budget.hold(caps, this.clock.ran(Date.now()));
  }

  /** Ends the agent at once for a reason of the server's own, which is in the row first: it outlives a kill. @throws Fenced */
  async endFor(failure: AttemptFailure, isTime = BY_TIME.has(failure.code)): Promise<void> {
    if (isTime) {
      // One that is being stopped has its grace time, and one that has just ended by itself has kept within its time.
      if (this.stopWish.signal.aborted) return;
      if ((await this.runtime.inspect(this.claim.agent_id)).state !== 'running') return;
    }
    this.killedFor ??= failure;
    const { code: failure_code, message: error_message } = this.killedFor;
    await this.tools.journal.record(this.claim, { failure_code, error_message });
    await this.runtime.stop(this.claim.agent_id, 0);
  }

  /** A broken limit ends the agent; one that is only silent may first end its turn in an orderly way. @throws Fenced */
  private async breach(failure: AttemptFailure, isTime?: boolean): Promise<void> {
    const { dialogue } = this;
    if (!dialogue || failure.code !== 'agent.inactive') return this.endFor(failure, isTime);
    this.killedFor ??= failure;
    await this.tools.journal.record(this.claim, { failure_code: failure.code, error_message: failure.message });
    dialogue.inactive();
    // Not waited for: it is the reader of the agent's output who asks.
    dialogue
      .untilOver(this.tools.config.agent.stop_grace_seconds)
      .then(() => this.stopFollowed(dialogue, 0))
      .catch(() => undefined);
  }

  /** Tells the agent, in its own way, that it is to end. */
  private async askToEnd(): Promise<void> {
    const { dialogue } = this;
    const { runDirectories, config } = this.tools;
    if (!dialogue) {
      await runDirectories.sendControl(this.claim.agent_id, { type: 'control', action: 'stop' });
      return;
    }
    dialogue.stop();
    await dialogue.untilOver(config.agent.stop_grace_seconds);
  }

  /** An agent that has nothing more to do does not know that: it waits for the next prompt. */
  private dismiss(failure: AttemptFailure | null): void {
    this.killedFor ??= failure;
    if (this.stopping) return;
    this.stopFollowed(this.dialogue, this.tools.config.agent.stop_grace_seconds).catch(() => undefined);
  }

  /** An engine that is away for a while must not leave it alive: asked again as long as its output is read. */
  private stopFollowed(dialogue: DialogueCapture | undefined, graceSeconds: number): Promise<void> {
    const isFollowed = (): boolean => dialogue !== undefined && this.dialogue === dialogue;
    return stopUntil(() => this.runtime.stop(this.claim.agent_id, graceSeconds), isFollowed);
  }

  /** The server gives up on the attempt for a reason of its own. The agent goes first: no row ends while it may run. */
  async giveUp(failure: AttemptFailure): Promise<void> {
    this.killedFor ??= failure;
    await this.runtime.remove(this.claim.agent_id);
    await this.tools.journal.ended(this.claim, failed(this.killedFor), []);
  }

  private async askBudgets({ id, run_id }: AgentInstance): Promise<void> {
    this.limit(await this.tools.queries.execute(new GetAttemptCapsQuery(id, run_id)));
  }

  private async follow(fresh: AgentInstance, open: Ready['open'], signal: AbortSignal): Promise<void> {
    this.holding.follow(fresh);
    if (fresh.failure_code)
      this.killedFor ??= new AttemptFailure(fresh.failure_code as FailureCode, fresh.error_message ?? '');
    const leaving = new AbortController();
    const either = AbortSignal.any([signal, leaving.signal]);
    const { task_id, id: agent_id } = fresh;
    const capture = this.captureOf(fresh, await this.tools.redactors.of(fresh.id));
    this.capture = capture;
    const { disk_bytes } = engineLimits(fresh.resource_limits ?? {});
    const unwatch = disk_bytes
      ? this.tools.diskWatch.watch({ task_id, agent_id, limit: disk_bytes }, (failure) => this.endFor(failure))
      : undefined;
    const captured = capture.run(either); // before the first line is there
    captured.catch(() => undefined); // awaited below
    try {
      this.letThrough = true;
      if (!(await open(leaving))) return;
      faultPoint('agent.running');
      const exited = this.runtime.waitForExit(agent_id, either);
      // Where nobody can tell whether it has ended, half a line must not be taken for the last one.
      exited.then(
        () => capture.agentHasEnded(),
        (error: unknown) => leaving.abort(error),
      );
      // A stop that fails here is asked for again by whoever wants the run stopped.
      if (this.stopWish.signal.aborted) this.stop(false).catch(() => undefined);
      await captured;
      const done = { killed_for: this.killedFor, stop_wished: this.stopWish.signal.aborted };
      await concludeAttempt({ claim: this.claim, tools: this.tools }, fresh, await exited, done);
    } finally {
      this.capture = this.dialogue = undefined;
      unwatch?.();
      leaving.abort();
      await captured.catch(() => undefined); // its files are closed
    }
  }

  private captureOf(instance: AgentInstance, redactor: Redactor): OutputCapture {
    const { transactions, log, runDirectories, config } = this.tools;
    const { task_id, run_id, id: agent_id, stdout_offset, stderr_offset } = instance;
    const target = { task_id, run_id, agent_id, epoch: this.claim.epoch, stdout_offset, stderr_offset };
    const timeouts = effectiveTimeouts(instance, {}, config.agent);
    this.budget.begin(instance);
    this.dialogue = this.dialogueOf(instance, target, redactor);
    return new OutputCapture(target, {
      ...{ transactions, log, runDirectories, redactor },
      ...(this.dialogue && { dialogue: this.dialogue }),
      waits: () => this.dialogue?.isWaiting ?? false,
      breach: (failure, isTime) => this.breach(failure, isTime),
      limits: { max_output_bytes: config.agent.max_output_bytes, ...timeouts },
      failures: {
        inactive: () => inactive(timeouts.inactivity_timeout_seconds, this.task),
        outOfTime: () => outOfTime(timeouts.wall_clock_timeout_seconds, this.task),
      },
      clock: this.clock,
      budget: this.budget,
    });
  }

  private dialogueOf(instance: AgentInstance, target: CaptureTarget, redactor: Redactor): DialogueCapture | undefined {
    if (instance.protocol !== 'agent-client-protocol') return undefined;
    const { transactions, log, runDirectories, dialogues } = this.tools;
    const deps = { transactions, log, runDirectories, dialogues, redactor };
    const dialogue = new DialogueCapture(instance, target, deps, (failure) =>
      this.dismiss(failure && new AttemptFailure(failure.code, failure.message)),
    );
    if (this.stopWish.signal.aborted) dialogue.stop();
    return dialogue;
  }

  /** The rows have all of it: container and run directory may go. A kill before leaves it to the sweeper. */
  private async cleanUp({ id, task_id }: AgentInstance): Promise<void> {
    await this.runtime.remove(id);
    faultPoint('container.removed');
    await this.tools.supplies.remove(id, task_id);
  }
}
