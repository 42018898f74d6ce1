import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Kysely, type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { PromptKind, PromptState } from '../domain/prompt.entity.js';
import type { SessionDB } from './session-rows.js';

/** A prompt as people see it. Times are RFC 3339; attachments without their bytes. */
export interface PromptView {
  id: string;
  task_id: string;
  run_id: string | null;
  agent_id: string | null;
  kind: PromptKind;
  text: string;
  attachments: { name: string; path: string | null; media_type: string | null; size: number | null }[];
  interrupt: boolean;
  state: PromptState;
  stop_reason: string | null;
  failure: string | null;
  tokens_in: number | null;
  tokens_out: number | null;
  cost_usd: number | null;
  requested_by: string | null;
  created_at: string;
  sent_at: string | null;
  ended_at: string | null;
}

/** The prompts of a task, oldest first. @throws DomainError `task.not_found` */
export class ListPromptsQuery extends Query<{ prompts: PromptView[]; total: number }> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly page: { limit: number; offset: number },
  ) {
    super();
  }
}

@QueryHandler(ListPromptsQuery)
export class ListPromptsHandler implements IQueryHandler<ListPromptsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, page }: ListPromptsQuery): Promise<{ prompts: PromptView[]; total: number }> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const prompts = this.transactions.kysely<SessionDB>().selectFrom('prompts').where('task_id', '=', task_id);
    const rows = await prompts
      .select([...COLUMNS, WITHOUT_BYTES])
      .orderBy('created_at')
      .orderBy('id')
      .offset(page.offset)
      .limit(page.limit)
      .execute();
    const { total } = await prompts.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    return { prompts: rows.map(toPromptView), total };
  }
}

/** The prompt of that id, which is there. */
export async function getPrompt(db: Kysely<SessionDB>, id: string): Promise<PromptView> {
  const prompts = db.selectFrom('prompts').select([...COLUMNS, WITHOUT_BYTES]);
  return toPromptView(await prompts.where('id', '=', id).executeTakeFirstOrThrow());
}

const COLUMNS = [
  ...(['id', 'task_id', 'run_id', 'agent_id', 'kind', 'text', 'interrupt', 'state', 'stop_reason', 'failure'] as const),
  ...(['tokens_in', 'tokens_out', 'cost_usd', 'requested_by', 'created_at', 'sent_at', 'ended_at'] as const),
] as const;

/** Attachments have megabytes, which nobody asks for again: only their size, as base64 tells it. */
const WITHOUT_BYTES = sql<PromptView['attachments']>`(
  select coalesce(json_agg(json_build_object(
    'name', a ->> 'name', 'path', a ->> 'path', 'media_type', a ->> 'media_type',
    'size', length(rtrim(a ->> 'data', '=')) * 3 / 4)), '[]'::json)
  from json_array_elements(attachments) a)`.as('attachments');

type Row = Pick<Selectable<SessionDB['prompts']>, (typeof COLUMNS)[number]> & Pick<PromptView, 'attachments'>;

function toPromptView({ created_at, sent_at, ended_at, ...row }: Row): PromptView {
  return {
    ...row,
    created_at: toTimestamp(created_at),
    sent_at: sent_at && toTimestamp(sent_at),
    ended_at: ended_at && toTimestamp(ended_at),
  };
}
