import { Logger } from '@nestjs/common';
import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Idempotency, type OnceKey } from '../../../common/idempotency/idempotency.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetStartableAgentTypeQuery } from '../../agent/contracts/agent.queries.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { PromptAttachment } from '../domain/prompt.entity.js';
import { FollowUps } from './follow-ups.js';
import { getPrompt, type PromptView } from './prompt.queries.js';
import { listAsJson, type SessionDB } from './session-rows.js';

/** Prompts of a task that wait at a time: more is a mistake of whoever sends them. */
export const MAX_QUEUED_PROMPTS = 50;

export interface NewPrompt {
  text: string;
  attachments: PromptAttachment[];
  interrupt: boolean;
}

/**
 * Tells the task's agent what to do next: when its present turn is over, or at once with `interrupt`. Where no agent works
 * on the task, a run is started, which goes on with the session of the one before.
 * @throws DomainError `task.not_found`, `board.forbidden`, `task.archived`, `prompt.too_many`,
 *   `prompt.not_understood`, `idempotency.key_reused`; where a run has to be started, what StartRunCommand throws
 */
export class AddPromptCommand extends Command<PromptView> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly prompt: NewPrompt,
    readonly once: OnceKey | null,
  ) {
    super();
  }
}

/** The row first; whoever starts runs for rows that wait finds it, whatever happens to us in between. */
@CommandHandler(AddPromptCommand)
export class AddPromptHandler implements ICommandHandler<AddPromptCommand> {
  private readonly logger = new Logger(AddPromptHandler.name);

  constructor(
    private readonly queries: QueryBus,
    private readonly idempotency: Idempotency,
    private readonly transactions: Transactions,
    private readonly followUps: FollowUps,
  ) {}

  async execute({ actor, task_id, prompt, once }: AddPromptCommand): Promise<PromptView> {
    const task = await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    if (task.archived_at !== null) throw archived();
    await this.requireUnderstanding(task.agent_type);
    const { id } = await this.idempotency.run(actor, once, async (tx) => {
      const db = tx.kysely<SessionDB>();
      // One after the other: they have an order, and there is an end to how many wait.
      await db.selectFrom('prompts').select('id').where('task_id', '=', task_id).limit(1).forUpdate().execute();
      const { waiting } = await db
        .selectFrom('prompts')
        .select((by) => by.fn.countAll<number>().as('waiting'))
        .where('task_id', '=', task_id)
        .where('state', '=', 'QUEUED')
        .executeTakeFirstOrThrow();
      if (waiting >= MAX_QUEUED_PROMPTS) throw tooMany();
      const row = { id: uuidv7(), task_id, board_id: task.board_id, kind: 'follow_up' as const };
      const { text, interrupt } = prompt;
      const attachments = listAsJson(prompt.attachments);
      const values = { ...row, text, attachments, interrupt, requested_by: actor.user_id };
      await db.insertInto('prompts').values(values).execute();
      return { id: row.id };
    });
    await this.start(id, { actor, task_id, once });
    return getPrompt(this.transactions.kysely<SessionDB>(), id);
  }

  /** What can't be started is the caller's to know, and nothing then waits for a day when it could. */
  private async start(
    id: string,
    { actor, task_id, once }: Pick<AddPromptCommand, 'actor' | 'task_id' | 'once'>,
  ): Promise<void> {
    try {
      await this.followUps.startFor(task_id);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      await this.takeBack(id, { actor, once, why: error.message }).catch((failed: unknown) => {
        this.logger.error({ err: failed, prompt_id: id }, 'a prompt could not be withdrawn');
      });
      throw error;
    }
  }

  /** Whoever sends it again with the same key means it anew: they were told that it came to nothing. */
  private async takeBack(id: string, { actor, once, why }: { actor: Actor; once: OnceKey | null; why: string }) {
    if (await this.followUps.withdraw(id, why)) await this.idempotency.forget(actor, once);
  }

  private async requireUnderstanding(agentType: string | null): Promise<void> {
    if (agentType === null) return; // a run can't be started, and says so better
    const type = await this.queries.execute(new GetStartableAgentTypeQuery(agentType));
    if (type.protocol === 'agent-client-protocol') return;
    const text = `Agents of the type ${agentType} take no prompts: they don't speak the Agent Client Protocol. Send an input instead.`;
    throw new DomainError('conflict', 'prompt.not_understood', text);
  }
}

function archived(): DomainError {
  return new DomainError('conflict', 'task.archived', 'The task is archived. Take it out of the archive first.');
}

function tooMany(): DomainError {
  const text = `${MAX_QUEUED_PROMPTS} prompts of this task wait already. Wait until the agent has come to some of them.`;
  return new DomainError('conflict', 'prompt.too_many', text);
}
