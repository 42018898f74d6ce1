import { Body, Controller, Get, Headers, HttpCode, Post, Query, StreamableFile } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiExtraModels, ApiOkResponse, ApiOperation, ApiTags, getSchemaPath } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { CommitWorkspaceCommand } from '../app/commit-workspace.js';
import { PushWorkspaceCommand } from '../app/push-workspace.js';
import { GetTaskDiffQuery, ReadTaskPatchQuery } from '../app/task-diff.js';
import { CommitDto, CommitRequest, DiffRequest, PushDto, PushRequest, TaskDiffDto } from './changes.dto.js';

const PATCH = 'text/x-diff';

/** What agents have changed in a repository, and its way back there. */
@ApiTags('changes')
@ApiBearerAuth()
@Controller('tasks/:taskId')
export class ChangesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get('diff')
  @ApiExtraModels(TaskDiffDto)
  @ApiOperation({
    operationId: 'getTaskDiff',
    summary: "What the task's workspace has become since it was checked out",
  })
  @ApiOkResponse({
    description: 'Each file that differs, or one unified diff. Ignored files are left out.',
    content: {
      'application/json': { schema: { $ref: getSchemaPath(TaskDiffDto) } },
      [PATCH]: { schema: { type: 'string' } },
    },
  })
  @ApiProblems(400, 401, [404, 'task.not_found', 'workspace.not_found'], [503, 'workspace.busy', 'host.elsewhere'])
  async diff(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() { format, path }: DiffRequest,
    @Headers('accept') accept = '',
  ): Promise<TaskDiffDto | StreamableFile> {
    const asText = format === undefined ? accept.includes(PATCH) : format === 'text';
    if (!asText) return this.queries.execute(new GetTaskDiffQuery(actor, taskId, path ?? null));
    const patch = await this.queries.execute(new ReadTaskPatchQuery(actor, taskId, path ?? null));
    return new StreamableFile(patch, { type: `${PATCH}; charset=utf-8` });
  }

  @Post('commit')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'commitTask',
    summary: "Commit what is in the task's workspace to the task's own branch (editors)",
    description: "Kept on the server until it is pushed. The agent's own commits come with it. You are the author.",
  })
  @ApiOkResponse({ type: CommitDto, description: 'The branch as it is now.' })
  @ApiProblems(
    ...([400, 401] as const),
    [403, 'board.forbidden'],
    [404, 'task.not_found', 'workspace.not_found'],
    [409, 'run.live', 'idempotency.key_reused'],
    ...([413, 415] as const),
    [503, 'workspace.busy', 'host.elsewhere'],
  )
  commit(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Once() once: OnceKey | null,
    @Body() body?: CommitRequest,
  ): Promise<CommitDto> {
    return this.commands.execute(new CommitWorkspaceCommand(actor, taskId, body?.message ?? null, once));
  }

  @Post('push')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'pushTask',
    summary: "Push the task's own branch to its repository (editors)",
    description: 'With your own credentials: this one branch, and nothing else.',
  })
  @ApiOkResponse({ type: PushDto, description: 'The remote has it.' })
  @ApiProblems(
    ...([400, 401] as const),
    [403, 'board.forbidden'],
    [404, 'task.not_found', 'workspace.not_found'],
    [
      ...([409, 'workspace.nothing_to_push', 'push.rejected', 'push.auth_failed'] as const),
      ...(['push.secret_found', 'push.address_refused'] as const),
    ],
    ...([413, 415] as const),
    [503, 'push.unreachable', 'host.elsewhere'],
  )
  push(@CurrentActor() actor: Actor, @IdParam('taskId') taskId: string, @Body() body?: PushRequest): Promise<PushDto> {
    return this.commands.execute(new PushWorkspaceCommand(actor, taskId, body?.force ?? false));
  }
}
