import { Controller, Get, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { ListTaskEventsQuery } from '../app/task-events.queries.js';
import { ListTasksQuery } from '../app/task-lists.queries.js';
import { ListTaskEventsRequest, TaskEventListDto } from './task-event.dto.js';
import { ListTasksRequest, TaskListDto } from './task-list.dto.js';

@ApiTags('tasks')
@ApiBearerAuth()
@Controller()
export class TaskListsController {
  constructor(private readonly queries: QueryBus) {}

  @Get('boards/:boardId/tasks')
  @ApiOperation({ operationId: 'listTasks', summary: 'The tasks of a board, newest first unless you say otherwise' })
  @ApiOkResponse({ type: TaskListDto, description: 'A page of tasks.' })
  @ApiProblems(400, 401, [404, 'board.not_found'], [503, 'request.too_slow'])
  async list(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Query() query: ListTasksRequest,
  ): Promise<TaskListDto> {
    const { state: states, priority: priorities, agent_type, q, created_after, created_before, archived, sort } = query;
    const assigned_agent_id = query.assigned_agent_id?.toLowerCase();
    const filter = { states, priorities, agent_type, assigned_agent_id, q, created_after, created_before, archived };
    const list = new ListTasksQuery(actor, id, filter, sort, pageRequest(query));
    const { items, ...page } = await this.queries.execute(list);
    return { tasks: items, ...page };
  }

  @Get('tasks/:taskId/events')
  @ApiOperation({ operationId: 'listTaskEvents', summary: 'The history of a task, oldest first' })
  @ApiOkResponse({ type: TaskEventListDto, description: 'A page of the history.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  async events(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @Query() query: ListTaskEventsRequest,
  ): Promise<TaskEventListDto> {
    const filter = { event_types: query.event_type };
    const list = new ListTaskEventsQuery(actor, id, filter, pageRequest(query));
    const { items, ...page } = await this.queries.execute(list);
    return { events: items, ...page };
  }
}
