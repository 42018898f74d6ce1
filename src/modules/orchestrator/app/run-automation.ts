import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { NotYet, OutboxHandlers, type DeliveredEvent } from '../../../common/bus/outbox-handlers.js';
import { DomainError, type ErrorKind } from '../../../common/errors/domain-error.js';
import { AgentCompletedEvent, AgentFailedEvent, AgentStartedEvent } from '../../agent/contracts/agent.events.js';
import { TaskCreatedEvent, TaskStateChangedEvent } from '../../task/contracts/task.events.js';
import { SettleRunCommand } from '../../task/contracts/task.commands.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { TaskState } from '../../task/contracts/task.types.js';
import { StartRunCommand, StopRunCommand } from '../contracts/run.commands.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import type { RunState } from '../contracts/run.types.js';
import { RunSync } from './sync-run.js';

const ENDS: ReadonlySet<TaskState> = new Set(['COMPLETED', 'FAILED', 'CANCELLED']);

/** Kinds of errors that say nothing of what was asked for: the same may be well in a moment. */
const PASSES: ReadonlySet<ErrorKind> = new Set(['unavailable', 'too_many_requests', 'internal']);

/** What the orchestrator does when it hears of something. Each handler reads the rows as they are: repeats are harmless. */
@Injectable()
export class RunAutomation implements OnModuleInit {
  private readonly logger = new Logger(RunAutomation.name);

  constructor(
    private readonly outbox: OutboxHandlers,
    private readonly sync: RunSync,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  onModuleInit(): void {
    for (const { topic } of [AgentStartedEvent, AgentCompletedEvent, AgentFailedEvent]) {
      this.outbox.on(topic, (event) => this.sync.followAgent(String(event.data['run_id'])));
    }
    this.outbox.on(RunStateChangedEvent.topic, ({ aggregate_id, data }) =>
      this.sync.followRun(aggregate_id, data['state'] as RunState),
    );
    this.outbox.on(TaskStateChangedEvent.topic, (event) => this.followTask(event));
    this.outbox.on(TaskCreatedEvent.topic, (event) => this.startCreated(event));
  }

  /** A task made with `auto_start` gets its first run; only the first, however often the event comes. */
  private async startCreated({ aggregate_id: task_id, data }: DeliveredEvent): Promise<void> {
    const { auto_start, actor_id } = data as { auto_start?: boolean; actor_id: string | null };
    if (auto_start !== true || actor_id === null) return;
    const actor: Actor = { user_id: actor_id, role: 'system' }; // what the person may do was checked when the task was made
    await this.orLog(task_id, async () => {
      if (!(await this.sync.hadRun(task_id))) await this.commands.execute(new StartRunCommand(actor, task_id));
    });
  }

  /** A person's hand on the card: into progress starts the task's agent, to an end stops it. */
  private async followTask(event: DeliveredEvent): Promise<void> {
    const { run_id, actor_id, old_state, new_state } = event.data as {
      run_id: string | null;
      actor_id: string | null;
      old_state: TaskState;
      new_state: TaskState;
    };
    if (run_id !== null || actor_id === null) return; // a run moved it
    const actor: Actor = { user_id: actor_id, role: 'system' }; // what the person may do was checked when the card was moved
    await this.orLog(event.aggregate_id, async () => {
      const task = await this.queries.execute(new GetTaskQuery(actor, event.aggregate_id));
      if (ENDS.has(new_state)) {
        // Also where the card was moved on meanwhile: then the run that there was, and none that has come since.
        await this.stop(actor, task.id, new_state, task.state === new_state ? null : event.timestamp);
      } else if (new_state === 'IN_PROGRESS' && old_state === 'TODO' && task.state === new_state && task.agent_type) {
        await this.start(actor, task.id);
        await this.stopIfEnded(actor, task.id);
      }
    });
  }

  /** Its end may have been heard of before there was a run to be stopped: several processes hear of things at once. */
  private async stopIfEnded(actor: Actor, task_id: string): Promise<void> {
    const { state } = await this.queries.execute(new GetTaskQuery(actor, task_id));
    if (ENDS.has(state)) await this.stop(actor, task_id, state, null);
  }

  private async stop(actor: Actor, task_id: string, moved_to: TaskState, queued_by: string | null): Promise<void> {
    const run = await this.sync.liveRun(task_id, queued_by);
    if (!run) return;
    await this.commands.execute(new SettleRunCommand(task_id, run.id)); // the card is where the person wants it
    const reason = `the task was moved to ${moved_to}`;
    await this.commands.execute(new StopRunCommand(actor, task_id, reason, false, run.id));
  }

  private async start(actor: Actor, task_id: string): Promise<void> {
    try {
      await this.commands.execute(new StartRunCommand(actor, task_id));
    } catch (error) {
      const stopping = (await this.sync.liveRun(task_id))?.state === 'STOPPING';
      if (stopping && error instanceof DomainError && error.code === 'run.already_live')
        throw new NotYet('the run before is still being stopped');
      throw error;
    }
  }

  /** A refusal is final, so it is logged; what passes, and anything else, is tried again by the outbox. */
  private async orLog(task_id: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof DomainError) || PASSES.has(error.kind)) throw error;
      this.logger.log({ task_id, code: error.code }, `nothing to do for the task: ${error.message}`);
    }
  }
}
