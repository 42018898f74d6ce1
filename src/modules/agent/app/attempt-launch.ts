import { faultPoint } from '../../../common/ops/fault-points.js';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import {
  WORKSPACE_TARGET,
  type ContainerRuntime,
  type LaunchSpec,
  type PreparedImage,
  type ProgressReport,
} from '../domain/container-runtime.js';
import type { Granted } from '../domain/credentials.js';
import { AttemptFailure } from '../domain/outcome.js';
import type { SandboxReport } from '../domain/sandbox.js';
import type { LaunchPart } from './agent-metrics.js';
import type { AttemptTools } from './attempt-tools.js';
import { lockInstance, type Claim } from './instance-lock.js';
import { ProgressTeller } from './progress-teller.js';

/**
 * From an attempt's row to the agent's first instruction; again after a kill at any point: what is missing. The row says
 * that the agent runs before the gate is opened, so that its output is waited for by then; one whose server was killed
 * in between is let through by the next one.
 */
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
   * For an agent that was launched before: what lives in this process for it is opened again. Nothing is prepared again
   * where an agent may be at work.
   * @throws AttemptFailure; Fenced
   */
  async goOn(instance: AgentInstance): Promise<void> {
    const { status, sandbox } = instance;
    if (status === 'STARTING' && sandbox && sandbox.differences.length > 0) throw mismatch(sandbox.differences);
    await this.tools.supplies.reopen(instance, this.refused);
    await this.tools.journal.started(this.claim);
  }

  /** Lets one through that is ready; one without a gate is at work. @throws AttemptFailure; the signal's reason */
  async open(signal: AbortSignal): Promise<void> {
    if (!this.runtime.has_gate) return; // a stop gives it its grace time
    signal.throwIfAborted();
    await this.runtime.begin(this.claim.agent_id);
    faultPoint('container.begun');
  }

  /**
   * The same of one whose row said that it runs: it may be at work since long, and have removed the traces of its start.
   * Nobody at the gate is no failure then; one that is held still there is waited for. @throws what hinders the look
   */
  async openAgain(signal: AbortSignal): Promise<void> {
    const { agent_id } = this.claim;
    while (!signal.aborted) {
      try {
        return await this.open(signal);
      } catch (error) {
        if (!(error instanceof AttemptFailure) || error.code !== 'container.start_failed') throw error;
        const seen = await this.runtime.inspect(agent_id);
        if (seen.state !== 'running' || !seen.paused) return;
      }
    }
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

  /** All of it, as far as the gate. @throws AttemptFailure; Fenced; the signal's reason */
  async launch(instance: AgentInstance, signal: AbortSignal): Promise<void> {
    const { journal, launches, supplies, metrics } = this.tools;
    signal.throwIfAborted();
    if (instance.status === 'PENDING') {
      await journal.preparing(this.claim);
      instance.apply('prepare', new Date());
    }
    const here = instance.image_id == null ? this.runtime.findImage(instance.image_name) : null; // meanwhile
    const { spec, granted } = await this.prepare(instance, 'preparation', (report) =>
      supplies.prepare(instance, this.task, { report, refused: this.refused }, signal),
    );
    if (here !== null) {
      const image = await this.prepare(instance, 'image', async (report): Promise<PreparedImage> => {
        return (await here) ?? this.runtime.prepareImage(instance.image_name, report, signal);
      });
      await launches.resolved(this.claim, instance, image);
    }
    faultPoint('image.resolved');
    if (instance.protocol === 'agent-client-protocol') await this.openDialogue(instance, spec);
    spec.image_id = instance.image_id ?? null;
    await metrics.timed(instance.agent_type, 'launch', () => this.begin(instance, { spec, granted }, signal));
  }

  /** Where the agent is, and what it is asked first. Again: nothing. @throws Fenced */
  private async openDialogue(instance: AgentInstance, spec: LaunchSpec): Promise<void> {
    const { id: agent_id, task_id, board_id, run_id, attempt, agent_type, host_id, runtime } = instance;
    const of = { agent_id, task_id, board_id, run_id, attempt, agent_type, host_id: host_id ?? null };
    const cwd = runtime === 'process' ? spec.workspace_directory : WORKSPACE_TARGET;
    await this.tools.transactions.run(async (tx) => {
      await lockInstance(tx, this.claim); // what is to be said is the present owner's to decide
      await this.tools.dialogues.open(tx, of, this.task, cwd);
    });
    faultPoint('dialogue.opened');
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

  /** Ends the attempt of a container that is not confined as it has to be. */
  private async judge(sandbox: SandboxReport | null, signal: AbortSignal): Promise<void> {
    if (sandbox === null) return; // a process is at work once it is started: a stop gives it its grace time
    const isWrong = sandbox.differences.length > 0;
    if (isWrong) await this.tools.journal.record(this.claim, { sandbox });
    signal.throwIfAborted(); // one that was stopped at the gate has an end of its own
    if (isWrong) throw mismatch(sandbox.differences);
  }

  /** From what is prepared to a container at the gate that is as it has to be, as its row says then. */
  private async begin(
    instance: AgentInstance,
    { spec, granted }: { spec: LaunchSpec; granted: Granted },
    signal: AbortSignal,
  ): Promise<void> {
    const { launches } = this.tools;
    signal.throwIfAborted();
    const created = await this.runtime.create(spec);
    faultPoint('container.created');
    signal.throwIfAborted();
    // What runs first, and with which rights, is looked at before anything runs: by the engine's word alone.
    const shown = this.runtime.verify(spec);
    shown.catch(() => undefined); // awaited below
    await launches.created(this.claim, instance, created, granted);
    faultPoint('container.recorded');
    await this.judge(await shown, signal);
    signal.throwIfAborted();
    await this.runtime.start(spec, created.container_id);
    faultPoint('container.started');
    const sandbox = await this.runtime.verify(spec);
    await this.judge(sandbox, signal);
    await launches.started(this.claim, instance, sandbox, granted); // the last fence before the agent runs
    faultPoint('container.verified');
  }
}

function mismatch(differences: readonly string[]): AttemptFailure {
  return new AttemptFailure(
    'container.sandbox_mismatch',
    `The container is not confined as it has to be, so the agent was not started: ${differences.join('; ')}.`,
  );
}
