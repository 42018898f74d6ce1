import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import { v7 as uuidv7 } from 'uuid';
import { AuditLog, type AuditEntry } from '../../../common/audit/audit-log.js';
import { SYSTEM } from '../../../common/auth/actor.js';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { LaunchAgentCommand } from '../contracts/agent.commands.js';
import type { AgentInstanceView } from '../contracts/agent.types.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { AgentType } from '../domain/agent-type.entity.js';
import { hostVariables } from '../domain/environment.js';
import { effectiveTimeouts } from '../domain/timeouts.js';
import { toView } from './agent-rows.js';
import { AttemptSupervisor } from './attempt-supervisor.js';
import { InstanceJournal } from './instance-journal.js';
import { preparing } from './journal-messages.js';
import { statusMessage } from './message-log.js';

/** The row first, then the work: a kill in between leaves a row that the next launch goes on with. */
@CommandHandler(LaunchAgentCommand)
export class LaunchAgentHandler implements ICommandHandler<LaunchAgentCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly supervisor: AttemptSupervisor,
    private readonly journal: InstanceJournal,
    private readonly audit: AuditLog,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute(command: LaunchAgentCommand): Promise<AgentInstanceView> {
    let isNew = false;
    const instance = await this.transactions
      .run(async (tx) => {
        const found = await this.takeOver(tx, command);
        isNew = found === null;
        return found ?? this.create(tx, command);
      })
      .catch((error: unknown) => {
        const constraint = violatedConstraint(error);
        if (constraint === 'agent_instances_left_behind') throw leftBehind();
        throw constraint === 'agent_instances_of_claim' ? fenced() : error;
      });
    faultPoint('agent.row_created');
    if (instance.isLive()) this.supervisor.supervise(instance, command.task, isNew);
    return toView(instance);
  }

  private async takeOver(tx: Tx, { run_id, attempt, epoch }: LaunchAgentCommand): Promise<AgentInstance | null> {
    const instance = await tx.em.findOne(AgentInstance, { run_id, attempt }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (instance && instance.epoch > epoch) throw fenced();
    if (instance) Object.assign(instance, { epoch, host_id: this.config.host_id });
    return instance;
  }

  private async create(tx: Tx, command: LaunchAgentCommand): Promise<AgentInstance> {
    const type = await tx.em.findOne(AgentType, { name: command.agent_type });
    if (!type) throw notFound('agent type');
    const { run_id, attempt, epoch, task } = command;
    const instance = tx.em.create(AgentInstance, {
      ...{
        id: uuidv7(),
        task_id: task.id,
        board_id: task.board_id,
        run_id,
        attempt,
        epoch,
        host_id: this.config.host_id,
        agent_type: type.name,
        agent_type_version: type.version,
        ...{ runtime: type.runtime, protocol: type.protocol },
      },
      image_name: type.imageName(),
      command: type.command,
      environment_vars: type.environment_vars,
      resource_limits: type.default_resources,
      ...{ network: type.network, allowed_hosts: type.allowed_hosts, mounts: type.mounts },
      ...{ requested_by: command.requested_by, ...effectiveTimeouts(task, type, this.config.agent) },
    });
    instance.apply('prepare', new Date()); // at once: nothing else comes first
    await tx.em.flush();
    await this.journal.append(tx, instance, [
      statusMessage('PENDING', `attempt ${attempt} with ${type.name}`, { attempt, agent_type: type.name }),
      preparing(),
    ]);
    await this.audit.record(this.launched(command, instance, type), tx);
    return instance;
  }

  /** Who let what run, with which of the host's secrets: names only. */
  private launched(command: LaunchAgentCommand, instance: AgentInstance, type: AgentType): AuditEntry {
    const { requested_by: user_id, task, run_id, attempt } = command;
    const variables = hostVariables(type.environment_vars ?? {});
    return {
      action: 'agent.launched',
      actor: user_id === null ? SYSTEM : { user_id, role: 'member' }, // the log keeps the user, not the role
      subject: { type: 'agent', id: instance.id },
      data: {
        ...{ task_id: task.id, run_id, attempt, agent_type: type.name, version: type.version },
        ...{ runtime: type.runtime, image: instance.image_name, mounts: type.mounts, variables },
        ...{ network: type.network, allowed_hosts: type.allowed_hosts },
      },
    };
  }
}

function fenced(): DomainError {
  return new DomainError('conflict', 'run.fenced', 'Another server has taken this run over, or it has ended.');
}

function leftBehind(): DomainError {
  const text = 'An agent of this task was left behind and may still be at work; the next one begins when it is gone.';
  return new DomainError('conflict', 'agent.left_behind', text);
}
