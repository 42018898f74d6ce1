import { Body, Controller, Delete, Get, HttpCode, Patch, Post, Put, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { ETAG_HEADER, IfMatch, WithEtag } from '../../../common/http/etag.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { MoveTaskCommand } from '../app/move-task.js';
import { CreateTaskCommand, DeleteTaskCommand, UpdateTaskCommand } from '../app/task.crud.js';
import { ListTaskEventsQuery, ListTasksQuery } from '../app/task-lists.queries.js';
import { ReadTaskQuery } from '../app/task.queries.js';
import { ListTasksRequest, TaskListDto } from './task-list.dto.js';
import { TaskEventListDto, UpdateTaskStateRequest } from './task-state.dto.js';
import { CreateTaskRequest, UpdateTaskRequest } from './task-requests.dto.js';
import { TaskDto } from './task.dto.js';

@ApiTags('tasks')
@ApiBearerAuth()
@Controller()
export class TaskController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post('boards/:boardId/tasks')
  @WithEtag()
  @ApiOperation({ operationId: 'createTask', summary: 'Put a task on a board (editors)' })
  @ApiCreatedResponse({ type: TaskDto, description: 'The new task.', headers: ETAG_HEADER })
  @ApiProblems(400, 401, [403, 'board.forbidden'], [404, 'board.not_found'], 413, 415)
  create(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Body() body: CreateTaskRequest,
  ): Promise<TaskDto> {
    const { title, description, priority = 0, metadata = {} } = body;
    const { agent_type = null, repository_url = null, branch = null } = body;
    const input = { title, description, priority, agent_type, repository_url, branch, metadata };
    return this.commands.execute(new CreateTaskCommand(actor, id, input));
  }

  @Get('boards/:boardId/tasks')
  @ApiOperation({ operationId: 'listTasks', summary: 'The tasks of a board, newest first' })
  @ApiOkResponse({ type: TaskListDto, description: 'A page of tasks.' })
  @ApiProblems(400, 401, [404, 'board.not_found'])
  async list(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Query() query: ListTasksRequest,
  ): Promise<TaskListDto> {
    const { state: states, priority, agent_type, q } = query;
    const filter = { states, priority, agent_type, q };
    const { items, ...page } = await this.queries.execute(new ListTasksQuery(actor, id, filter, pageRequest(query)));
    return { tasks: items, ...page };
  }

  @Get('tasks/:taskId')
  @WithEtag()
  @ApiOperation({ operationId: 'getTask', summary: 'One task' })
  @ApiOkResponse({ type: TaskDto, description: 'The task.', headers: ETAG_HEADER })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  get(@CurrentActor() actor: Actor, @IdParam('taskId') id: string): Promise<TaskDto> {
    return this.queries.execute(new ReadTaskQuery(actor, id));
  }

  @Put('tasks/:taskId')
  @WithEtag()
  @ApiOperation({ operationId: 'updateTask', summary: 'Change the given fields of a task (editors)' })
  @ApiOkResponse({ type: TaskDto, description: 'The task as it is now.', headers: ETAG_HEADER })
  @ApiProblems(400, 401, [403, 'board.forbidden'], [404, 'task.not_found'], [412, 'precondition.stale'], 413, 415)
  update(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @Body() body: UpdateTaskRequest,
    @IfMatch() versions: number[] | null,
  ): Promise<TaskDto> {
    const { title, description, priority, agent_type, repository_url, branch, metadata } = body;
    const patch = { title, description, priority, agent_type, repository_url, branch, metadata };
    return this.commands.execute(new UpdateTaskCommand(actor, id, patch, versions));
  }

  @Delete('tasks/:taskId')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteTask',
    summary: 'Delete a task with its history, messages and artifacts (editors)',
  })
  @ApiNoContentResponse({ description: 'Deleted.' })
  @ApiProblems(
    400,
    401,
    [403, 'board.forbidden'],
    [404, 'task.not_found'],
    [409, 'task.run_live'],
    [412, 'precondition.stale'],
  )
  async delete(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @IfMatch() versions: number[] | null,
  ): Promise<void> {
    await this.commands.execute(new DeleteTaskCommand(actor, id, versions));
  }

  @Patch('tasks/:taskId/state')
  @WithEtag()
  @ApiOperation({ operationId: 'updateTaskState', summary: 'Move a task to another state (editors)' })
  @ApiOkResponse({ type: TaskDto, description: 'The task as it is now.', headers: ETAG_HEADER })
  @ApiProblems(
    400,
    401,
    [403, 'board.forbidden'],
    [404, 'task.not_found'],
    [409, 'task.illegal_transition'],
    [412, 'precondition.stale'],
    413,
    415,
  )
  move(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @Body() { state, reason = null }: UpdateTaskStateRequest,
    @IfMatch() versions: number[] | null,
  ): Promise<TaskDto> {
    return this.commands.execute(new MoveTaskCommand(actor, id, state, reason, versions));
  }

  @Get('tasks/:taskId/events')
  @ApiOperation({ operationId: 'listTaskEvents', summary: 'The history of a task, oldest first' })
  @ApiOkResponse({ type: TaskEventListDto, description: 'A page of the history.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  async events(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @Query() query: PageQuery,
  ): Promise<TaskEventListDto> {
    const { items, ...page } = await this.queries.execute(new ListTaskEventsQuery(actor, id, pageRequest(query)));
    return { events: items, ...page };
  }
}
