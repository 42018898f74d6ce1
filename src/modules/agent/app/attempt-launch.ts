import { faultPoint } from '../../../common/ops/fault-points.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ContainerRuntime, LaunchSpec, ProgressReport } from '../domain/container-runtime.js';
import type { Granted } from '../domain/credentials.js';
import { AttemptFailure } from '../domain/outcome.js';
import type { LaunchPart } from './agent-metrics.js';
import type { AttemptTools } from './attempt-tools.js';
import type { Claim } from './instance-lock.js';
import { ProgressTeller } from './progress-teller.js';

/** From an attempt's row to the agent's first instruction; again after a kill at any point: what is missing. */
export class AttemptLaunch {
  constructor(
    private readonly claim: Claim,
    private readonly task: AttemptTask,
    private readonly runtime: ContainerRuntime,
    private readonly tools: AttemptTools,
  ) {}

  /**
   * Whether there is something to launch: nothing was made yet, or the container waits at the gate and was not looked at.
   * @throws AttemptFailure `engine.unavailable`, which is no end of an attempt whose agent may be at work: ask again
   */
  async isToCome(instance: AgentInstance): Promise<boolean> {
    const { status } = instance;
    return status === 'PENDING' || (status === 'STARTING' && (await this.hasNotBegun(instance)));
  }

  /**
   * For an agent that was launched before: what lives in this process for it is opened again; one that was looked at and
   * perhaps not let through yet is let through. Nothing is prepared again where an agent may be at work.
   * @throws AttemptFailure; Fenced
   */
  async goOn(instance: AgentInstance, signal: AbortSignal): Promise<void> {
    const { status, id, sandbox } = instance;
    if (status === 'STARTING' && sandbox && sandbox.differences.length > 0) throw mismatch(sandbox.differences);
    await this.tools.supplies.reopen(instance, this.refused);
    if (status === 'STARTING' && !signal.aborted) await this.runtime.begin(id);
  }

  /** Told in the stream, so that people see why an agent can't do what it wants. */
  private readonly refused = (message: string): void => {
    this.tools.journal.warn(this.claim, message).catch(() => undefined); // a hint; the metrics have counted it
  };

  /** Whether the agent's command is still to come: nothing is made, or it waits at the gate. */
  private async hasNotBegun({ id: agentId, sandbox }: AgentInstance): Promise<boolean> {
    if (sandbox?.probe) return false; // the row says that all is well; what the agent may write says nothing
    if (await this.tools.runDirectories.hasBegun(agentId)) return false;
    const { state } = await this.runtime.inspect(agentId);
    return (
      state === 'created' ||
      state === 'running' ||
      (state === 'absent' && !(await this.tools.runDirectories.wasStarted(agentId)))
    );
  }

  /** All of it, as far as the agent's first instruction. @throws AttemptFailure; Fenced; the signal's reason */
  async launch(instance: AgentInstance, signal: AbortSignal): Promise<void> {
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
}

function mismatch(differences: readonly string[]): AttemptFailure {
  return new AttemptFailure(
    'container.sandbox_mismatch',
    `The container is not confined as it has to be, so the agent was not started: ${differences.join('; ')}.`,
  );
}
