import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { CompiledQuery, sql } from 'kysely';
import { SYSTEM, type Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { isUuid } from '../../../common/validation/id.decorator.js';
import { GetAgentTaskQuery } from '../../agent/contracts/agent.queries.js';
import { FindVisibleTasksQuery, GetTaskQuery } from '../contracts/task.queries.js';
import type { TaskView } from '../contracts/task.types.js';
import type { BoardRole } from '../domain/board.entity.js';
import { checkPermission, seesEverything } from '../domain/board-permission.js';
import { NOBODY, visibleTasks } from './board-access.js';
import { toTaskRecord, toTaskView, type TaskRecord, type TaskRow } from './records.js';
import type { TaskDB } from './task-db.js';

/** All there is to know of a task that the actor may read. @throws DomainError `task.not_found` */
export class ReadTaskQuery extends Query<TaskRecord> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
  ) {
    super();
  }
}

// The hottest read of all, as text: building it anew would take a sixth of the time that reading a task takes.
const READ_ANY = `
  select t.*, array(
    select d.depends_on_id from task_dependencies d where d.task_id = t.id order by d.depends_on_id
  ) as depends_on
  from tasks t where t.id = $1`;
const READ_AS_MEMBER = `${READ_ANY} and t.board_id in (select board_id from board_members where user_id = $2)`;
/** For who is no stranger to the board, with the role there. */
const READ_WITH_ROLE = `
  select t.*, m.role
  from tasks t left join board_members m on m.board_id = t.board_id and m.user_id = $2 where t.id = $1`;
type ReadRow = TaskRow & { depends_on: string[] };

@QueryHandler(ReadTaskQuery)
export class ReadTaskHandler implements IQueryHandler<ReadTaskQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id }: ReadTaskQuery): Promise<TaskRecord> {
    const reader = actor.role === 'agent' ? await this.own(actor, task_id) : actor;
    const query = seesEverything(reader)
      ? CompiledQuery.raw(READ_ANY, [task_id])
      : CompiledQuery.raw(READ_AS_MEMBER, [task_id, reader.user_id]);
    const { rows } = await this.transactions.kysely<TaskDB>().executeQuery<ReadRow>(query);
    const [row] = rows;
    if (!row) throw notFound('task');
    return toTaskRecord(row);
  }

  /** An agent is a member of no board: it reads the task it works on, and no other. */
  private async own({ agent_id }: Actor, taskId: string): Promise<Actor> {
    const agent = await this.queries.execute(new GetAgentTaskQuery(agent_id ?? ''));
    if (agent?.task_id !== taskId) throw notFound('task');
    return SYSTEM;
  }
}

@QueryHandler(GetTaskQuery)
export class GetTaskHandler implements IQueryHandler<GetTaskQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, task_id, permission }: GetTaskQuery): Promise<TaskView> {
    const query = CompiledQuery.raw(READ_WITH_ROLE, [task_id, actor.user_id ?? NOBODY]);
    const { rows } = await this.transactions.kysely<TaskDB>().executeQuery<TaskRow & { role: BoardRole | null }>(query);
    const [row] = rows;
    if (!row) throw notFound('task');
    checkPermission(actor, row.role, permission, 'task');
    return toTaskView(row);
  }
}

@QueryHandler(FindVisibleTasksQuery)
export class FindVisibleTasksHandler implements IQueryHandler<FindVisibleTasksQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, filter }: FindVisibleTasksQuery): Promise<{ task_id: string; board_id: string }[]> {
    const { task_ids, board_ids } = filter;
    let tasks = visibleTasks(this.transactions.kysely<TaskDB>(), actor).select(['t.id as task_id', 't.board_id']);
    if (task_ids ?? board_ids) {
      const [ofTasks, ofBoards] = [task_ids?.filter(isUuid) ?? [], board_ids?.filter(isUuid) ?? []];
      tasks = tasks.where(sql<boolean>`(t.id = any(${ofTasks}::uuid[]) or t.board_id = any(${ofBoards}::uuid[]))`);
    }
    return tasks.execute();
  }
}
