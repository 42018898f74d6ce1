import { Logger } from '@nestjs/common';
import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import type { Selectable } from 'kysely';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { MAX_INPUT_BYTES, SendAgentInputCommand, type InputReceipt } from '../contracts/agent-input.js';
import { RunDirectories } from '../domain/run-directory.js';
import type { AgentDB } from './agent-rows.js';
import { AttemptSupervisor } from './attempt-supervisor.js';
import { HostPlaces } from './host-places.js';
import { InputJournal } from './input-journal.js';

/** To the agent first, then into the records: they tell of what was really sent. */
@CommandHandler(SendAgentInputCommand)
export class SendAgentInputHandler implements ICommandHandler<SendAgentInputCommand> {
  private readonly logger = new Logger(SendAgentInputHandler.name);

  // oxlint-disable-next-line max-params -- who may, which agent, where it is, and the record of it
  constructor(
    private readonly queries: QueryBus,
    private readonly transactions: Transactions,
    private readonly supervisor: AttemptSupervisor,
    private readonly runDirectories: RunDirectories,
    private readonly journal: InputJournal,
    private readonly hosts: HostPlaces,
  ) {}

  async execute({ actor, task_id, data }: SendAgentInputCommand): Promise<InputReceipt> {
    await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    const line = { type: 'control', action: 'input', timestamp: new Date().toISOString(), data };
    const bytes = Buffer.byteLength(JSON.stringify(line)) + 1;
    if (bytes > MAX_INPUT_BYTES) {
      const text = `The input is a line of ${bytes} bytes for the agent; ${MAX_INPUT_BYTES} is the most it can be.`;
      throw new DomainError('too_large', 'agent.input_too_large', text);
    }
    const { id: agent_instance_id, run_id, host_id } = await this.findRunning(task_id);
    await this.hosts.requireHere(host_id, 'The agent of this task');
    if (!this.supervisor.isSupervised(agent_instance_id)) throw notHere();
    if (!(await this.runDirectories.sendControl(agent_instance_id, line))) throw refused();
    const sent = { agent_id: agent_instance_id, actor, bytes };
    // Whoever is told that it failed sends it again, and the agent would have it twice.
    await this.journal.sent(sent).catch((error: unknown) => {
      this.logger.error({ err: error, agent_id: agent_instance_id }, 'an input was sent and could not be recorded');
    });
    return { run_id, task_id, agent_instance_id, bytes };
  }

  /** @throws DomainError `run.not_running` */
  private async findRunning(
    taskId: string,
  ): Promise<Pick<Selectable<AgentDB['agent_instances']>, 'id' | 'run_id' | 'host_id'>> {
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select(['id', 'run_id', 'host_id'])
      .where('task_id', '=', taskId)
      .where('status', '=', 'RUNNING')
      .where('stop_requested_at', 'is', null)
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (row) return row;
    throw new DomainError('conflict', 'run.not_running', 'No agent of this task runs: nobody would read the input.');
  }
}

function notHere(): DomainError {
  return new DomainError(
    'unavailable',
    'agent.elsewhere',
    'This server does not look after the agent yet. Try again in some seconds.',
  );
}

function refused(): DomainError {
  const text = 'The agent does not read its input: nothing of this one was sent. Try again when it does.';
  return new DomainError('conflict', 'agent.input_refused', text);
}
