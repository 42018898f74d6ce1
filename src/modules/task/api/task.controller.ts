import { Body, Controller, Delete, Get, HttpCode, Post, Put, Query } from '@nestjs/common';
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
import { AllowAgentKey, CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { ETAG_HEADER, IfMatch, WithEtag } from '../../../common/http/etag.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { toRetryPolicy } from '../../../common/retries/retry-policy.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { DeleteTaskCommand } from '../app/delete-task.js';
import { CreateTaskCommand, UpdateTaskCommand } from '../app/task.crud.js';
import { ReadTaskQuery } from '../app/task.queries.js';
import { DeleteQuery } from './force.dto.js';
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
  @ApiProblems(
    400,
    [401, 'auth.user_gone'],
    [403, 'board.forbidden'],
    [404, 'board.not_found', 'agent_type.not_found'],
    [409, 'idempotency.key_reused', 'board.wip_limit'],
    [409, 'agent_type.disabled', 'agent_type.process_runtime_off'],
    413,
    415,
  )
  create(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Body() body: CreateTaskRequest,
    @Once() once: OnceKey | null,
  ): Promise<TaskDto> {
    const { title, description, priority = 0, metadata = {} } = body;
    const { agent_type = null, repository_url = null, branch = null } = body;
    const { inactivity_timeout_seconds = null, wall_clock_timeout_seconds = null } = body;
    const input = {
      ...{ title, description, priority, agent_type, repository_url, branch, metadata },
      ...{ inactivity_timeout_seconds, wall_clock_timeout_seconds },
      retry_policy: toRetryPolicy(body.retry_policy) ?? null,
    };
    const { depends_on, auto_start } = body;
    return this.commands.execute(new CreateTaskCommand(actor, id, input, { depends_on, auto_start }, once));
  }

  @Get('tasks/:taskId')
  @AllowAgentKey()
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
  @ApiProblems(
    400,
    [401, 'auth.user_gone'],
    [403, 'board.forbidden'],
    [404, 'task.not_found', 'agent_type.not_found'],
    [409, 'task.dependency_cycle', 'task.archived'],
    [412, 'precondition.stale'],
    413,
    415,
  )
  update(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @Body() body: UpdateTaskRequest,
    @IfMatch() versions: number[] | null,
  ): Promise<TaskDto> {
    const { title, description, priority, agent_type, repository_url, branch, metadata } = body;
    const { depends_on, inactivity_timeout_seconds, wall_clock_timeout_seconds } = body;
    const patch = {
      ...{ title, description, priority, agent_type, repository_url, branch, metadata, depends_on },
      ...{ inactivity_timeout_seconds, wall_clock_timeout_seconds },
      retry_policy: toRetryPolicy(body.retry_policy),
    };
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
    [409, 'task.run_live', 'task.still_stopping'],
    [412, 'precondition.stale'],
  )
  async delete(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @IfMatch() versions: number[] | null,
    @Query() { force }: DeleteQuery,
  ): Promise<void> {
    await this.commands.execute(new DeleteTaskCommand(actor, id, versions, force));
  }
}
