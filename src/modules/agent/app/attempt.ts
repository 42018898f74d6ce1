import { faultPoint } from '../../../common/ops/fault-points.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ContainerRuntime } from '../domain/container-runtime.js';
import { AttemptFailure, decideOutcome, type Exit, type Outcome } from '../domain/outcome.js';
import type { Claim } from './instance-journal.js';
import { OutputCapture } from './output-capture.js';
import type { AttemptTools } from './attempt-tools.js';

class StopWished extends Error {}

/**
 * One attempt, from its row to its end. Everything it does can be done again: `run` looks at what is there (row,
 * workspace, container, output) and goes on from that point, so taking over after a crash is the same call.
 */
export class Attempt {
  private readonly stopWish = new AbortController();
  private stopping = false;
  /** Why the server itself has ended the agent; outlives an interruption between the kill and the end. */
  private killedFor: AttemptFailure | null = null;
  private readonly runtime: ContainerRuntime;

  constructor(
    private readonly claim: Claim,
    private readonly task: AttemptTask,
    instance: AgentInstance,
    private readonly tools: AttemptTools,
  ) {
    this.runtime = tools.runtimes.get(instance.runtime);
  }

  /**
   * Resolves when the attempt has ended, or was found ended. `signal` lets go of it: the agent lives on.
   * @throws Fenced; the signal's reason; whatever stands in the way (database, engine): call again
   */
  async run(signal: AbortSignal): Promise<void> {
    const instance = await this.tools.journal.read(this.claim);
    if (instance.isLive()) {
      if (instance.stop_requested_at) this.stopWish.abort(new StopWished());
      if (await this.isUp(instance, signal)) await this.follow(instance, signal);
    }
    await this.cleanUp(instance.id);
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

  /** The server gives up on the attempt for a reason of its own. */
  async giveUp(failure: AttemptFailure): Promise<void> {
    await this.tools.journal.ended(this.claim, failed(failure), []);
    await this.runtime.remove(this.claim.agent_id);
  }

  /** Brings the agent up unless it is; false when that has ended the attempt. */
  private async isUp(instance: AgentInstance, signal: AbortSignal): Promise<boolean> {
    if (instance.status !== 'PENDING' && instance.status !== 'STARTING') return true;
    // Where nothing was made yet, an engine that is away is the user's to know; later it is ours to wait for.
    const untouched = instance.status === 'PENDING' || (await this.isUntouched(instance.id));
    try {
      if (untouched) await this.launch(instance, AbortSignal.any([signal, this.stopWish.signal]));
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

  private async isUntouched(agentId: string): Promise<boolean> {
    const { state } = await this.runtime.inspect(agentId);
    return state === 'created' || (state === 'absent' && !(await this.tools.runDirectories.wasStarted(agentId)));
  }

  private async launch(instance: AgentInstance, signal: AbortSignal): Promise<void> {
    const { journal, workspaces, runDirectories, specs } = this.tools;
    signal.throwIfAborted();
    await journal.preparing(this.claim);
    const report = (message: string, percent?: number): void => this.report(message, percent);
    const checkout = { task_id: this.task.id, repository_url: this.task.repository_url, branch: this.task.branch };
    const workspace = await workspaces.prepare(checkout, specs.user, report, signal);
    faultPoint('workspace.in_place');
    await runDirectories.prepare(instance.id, specs.briefing(instance, this.task), specs.user);
    faultPoint('run_directory.prepared');
    instance.image_id ??= await this.runtime.prepareImage(instance.image_name, report, signal);
    await journal.record(this.claim, { image_id: instance.image_id });
    faultPoint('image.resolved');
    const spec = specs.make(instance, this.task, workspace);
    const created = await this.runtime.create(spec);
    faultPoint('container.created');
    signal.throwIfAborted();
    // The last fence before the agent runs; what it is given is in the audit log first.
    await journal.created(this.claim, created, specs.grantedVariables(instance.environment_vars));
    faultPoint('container.recorded');
    await this.runtime.start(spec, created.container_id);
    faultPoint('container.started');
  }

  private async follow(instance: AgentInstance, signal: AbortSignal): Promise<void> {
    const { journal, transactions, log, runDirectories, config } = this.tools;
    const fresh = await journal.read(this.claim);
    const leaving = new AbortController();
    const either = AbortSignal.any([signal, leaving.signal]);
    const { task_id, run_id, id: agent_id, stdout_offset, stderr_offset } = fresh;
    const target = { task_id, run_id, agent_id, epoch: this.claim.epoch, stdout_offset, stderr_offset };
    const capture = new OutputCapture(target, {
      transactions,
      log,
      runDirectories,
      breach: async (failure) => {
        this.killedFor ??= failure;
        await this.runtime.stop(agent_id, 0);
      },
      limits: config.agent,
    });
    const exited = this.runtime.waitForExit(agent_id, either).finally(() => capture.agentHasEnded());
    exited.catch(() => undefined); // awaited below; until then its rejection is nobody's
    // A stop that fails here is asked for again by whoever wants the run stopped.
    if (this.stopWish.signal.aborted) this.stop(false).catch(() => undefined);
    try {
      await capture.run(either);
      await this.conclude(instance, await exited);
    } finally {
      leaving.abort();
    }
  }

  private async conclude(instance: AgentInstance, exit: Exit | 'vanished'): Promise<void> {
    faultPoint('agent.exited');
    const { journal, artifacts, runDirectories } = this.tools;
    const { result_status, result_summary, stop_requested_at, resource_limits } = await journal.read(this.claim);
    const outcome = decideOutcome({
      exit,
      killed_for: this.killedFor,
      result_status: result_status ?? null,
      result_summary: result_summary ?? null,
      stop_requested: stop_requested_at != null,
      memory_limit: resource_limits?.memory_limit,
      never_began: !(await runDirectories.wasStarted(instance.id)),
    });
    const collected = await artifacts.collect(instance);
    faultPoint('artifacts.collected');
    await journal.ended(this.claim, outcome, collected);
    faultPoint('agent.ended');
  }

  /** The rows have all of it: container and run directory may go. A kill before leaves it to the sweeper. */
  private async cleanUp(agentId: string): Promise<void> {
    await this.runtime.remove(agentId);
    faultPoint('container.removed');
    await this.tools.runDirectories.remove(agentId);
  }

  private report(message: string, percent: number | undefined): void {
    this.tools.journal
      .tell(this.claim, message, percent === undefined ? {} : { progress: percent })
      .catch(() => undefined);
  }
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
