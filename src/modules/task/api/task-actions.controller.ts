import { Body, Controller, HttpCode, Patch, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { ETAG_HEADER, IfMatch, WithEtag } from '../../../common/http/etag.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { ArchiveTaskCommand } from '../app/archive-task.js';
import { BulkTasksCommand } from '../app/bulk-tasks.js';
import { MoveTaskCommand } from '../app/move-task.js';
import { BulkResultDto, BulkTasksRequest, toBulkInput } from './bulk.dto.js';
import { UpdateTaskStateRequest } from './task-state.dto.js';
import { TaskDto } from './task.dto.js';

const TASK_NOW = { type: TaskDto, description: 'The task as it is now.', headers: ETAG_HEADER };

@ApiTags('tasks')
@ApiBearerAuth()
@Controller()
export class TaskActionsController {
  constructor(private readonly commands: CommandBus) {}

  @Patch('tasks/:taskId/state')
  @WithEtag()
  @ApiOperation({ operationId: 'updateTaskState', summary: 'Move a task to another state (editors)' })
  @ApiOkResponse(TASK_NOW)
  @ApiProblems(
    400,
    [401, 'auth.user_gone'],
    [403, 'board.forbidden'],
    [404, 'task.not_found', 'agent_type.not_found'],
    [409, 'task.illegal_transition', 'task.dependencies_open', 'task.archived', 'conflict.concurrent_update'],
    [409, 'agent_type.disabled', 'agent_type.process_runtime_off', 'board.wip_limit'],
    [412, 'precondition.stale'],
    413,
    415,
  )
  move(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @Body() { state, reason = null, force = false }: UpdateTaskStateRequest,
    @IfMatch() versions: number[] | null,
  ): Promise<TaskDto> {
    return this.commands.execute(new MoveTaskCommand(actor, id, state, { reason, force }, versions));
  }

  @Post('tasks/:taskId/archive')
  @HttpCode(200)
  @WithEtag()
  @ApiOperation({
    operationId: 'archiveTask',
    summary: 'Put a task into the archive: lists hide it, nothing of it changes (editors)',
  })
  @ApiOkResponse(TASK_NOW)
  @ApiProblems(
    400,
    [401, 'auth.user_gone'],
    [403, 'board.forbidden'],
    [404, 'task.not_found'],
    [409, 'task.run_live', 'task.still_stopping'],
    [412, 'precondition.stale'],
  )
  archive(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @IfMatch() versions: number[] | null,
  ): Promise<TaskDto> {
    return this.commands.execute(new ArchiveTaskCommand(actor, id, true, versions));
  }

  @Post('tasks/:taskId/unarchive')
  @HttpCode(200)
  @WithEtag()
  @ApiOperation({ operationId: 'unarchiveTask', summary: 'Take a task out of the archive (editors)' })
  @ApiOkResponse(TASK_NOW)
  @ApiProblems(
    400,
    [401, 'auth.user_gone'],
    [403, 'board.forbidden'],
    [404, 'task.not_found'],
    [409, 'board.wip_limit'],
    [412, 'precondition.stale'],
  )
  unarchive(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') id: string,
    @IfMatch() versions: number[] | null,
  ): Promise<TaskDto> {
    return this.commands.execute(new ArchiveTaskCommand(actor, id, false, versions));
  }

  @Post('boards/:boardId/tasks/bulk')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'bulkTasks',
    summary:
      'Do the same with up to 500 tasks of a board: what is allowed in one transaction, an answer for each (editors)',
  })
  @ApiOkResponse({
    type: BulkResultDto,
    description: 'What became of each task. Refusals of some leave the others alone.',
  })
  @ApiProblems(
    400,
    [401, 'auth.user_gone'],
    [403, 'board.forbidden'],
    [404, 'board.not_found'],
    [409, 'idempotency.key_reused', 'task.still_stopping'],
    413,
    415,
  )
  bulk(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Body() body: BulkTasksRequest,
    @Once() once: OnceKey | null,
  ): Promise<BulkResultDto> {
    return this.commands.execute(new BulkTasksCommand(actor, id, toBulkInput(body), once));
  }
}
