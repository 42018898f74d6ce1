import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { isLiveAgent } from '../domain/agent-state.js';
import type { AgentDB } from './agent-rows.js';
import { MessageLog, type MessageOrigin } from './message-log.js';
import { postedMessages, type PostedMessages } from './posted-messages.js';
import { progressColumns } from './progress-columns.js';
import { Redactors } from './redactors.js';
import { lastResult, lastRetryAfter } from './result-columns.js';
import { usageColumns } from './usage-columns.js';

/** What was appended to the task's stream. */
export interface Posted {
  accepted: number;
  first_seq: number;
  last_seq: number;
}

/**
 * Messages that an agent sends over HTTP instead of its standard output, all or none.
 * @throws DomainError `agent.own_key_required`, `agent.not_found`, `agent.ended`, `agent.output_limit`, `request.invalid`
 */
export class PostMessagesCommand extends Command<Posted> {
  constructor(
    readonly actor: Actor,
    readonly agent_id: string,
    /** One message as parsed JSON, or the bytes of NDJSON. */
    readonly body: unknown,
  ) {
    super();
  }
}

@CommandHandler(PostMessagesCommand)
export class PostMessagesHandler implements ICommandHandler<PostMessagesCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly log: MessageLog,
    private readonly redactors: Redactors,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ actor, agent_id, body }: PostMessagesCommand): Promise<Posted> {
    requireOwnKey(actor, agent_id);
    const { drafts, bytes } = postedMessages(body, new Date());
    const redactor = await this.redactors.of(agent_id);
    const posted = { drafts: drafts.map((draft) => redactor.message(draft)), bytes };
    return this.transactions.run(async (tx) => {
      const origin = await this.take(tx, agent_id, posted);
      const first_seq = await this.log.append(tx, origin, posted.drafts);
      const accepted = posted.drafts.length;
      return { accepted, first_seq, last_seq: first_seq + accepted - 1 };
    });
  }

  /** Under the row's lock, so that the end of the attempt comes before all of it or after. */
  private async take(tx: Tx, agent_id: string, { drafts, bytes }: PostedMessages): Promise<MessageOrigin> {
    const db = tx.kysely<AgentDB>();
    const row = await db
      .selectFrom('agent_instances')
      .select(['task_id', 'run_id', 'status', 'stdout_offset', 'stderr_offset', 'posted_bytes'])
      .where('id', '=', agent_id)
      .forUpdate()
      .executeTakeFirst();
    if (!row) throw notFound('agent');
    if (!isLiveAgent(row.status))
      throw new DomainError('conflict', 'agent.ended', 'The attempt has ended: nothing is added to it any more.');
    const { max_output_bytes: max } = this.config.agent;
    const posted_bytes = row.posted_bytes + bytes;
    if (row.stdout_offset + row.stderr_offset + posted_bytes > max) {
      throw new DomainError(
        'conflict',
        'agent.output_limit',
        `The output of this attempt would be more than ${max} bytes (KANDEV_MAX_OUTPUT_BYTES). Nothing was stored.`,
      );
    }
    const told = { ...lastResult(drafts), ...lastRetryAfter(drafts), ...progressColumns(drafts) };
    const columns = { posted_bytes, ...told, ...usageColumns(drafts) };
    await db.updateTable('agent_instances').set(columns).where('id', '=', agent_id).execute();
    return { task_id: row.task_id, run_id: row.run_id, agent_id };
  }
}

function requireOwnKey(actor: Actor, agentId: string): void {
  if (actor.role !== 'agent') {
    throw new DomainError(
      'forbidden',
      'agent.own_key_required',
      "Only an agent itself posts its messages, with the key in its run directory's api-key.",
    );
  }
  if (actor.agent_id !== agentId) throw notFound('agent');
}
