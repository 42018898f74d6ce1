import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { ListRescuesQuery, ListTaskRescuesQuery } from '../app/rescue.queries.js';
import { RestoreRescueCommand } from '../app/restore-rescue.js';
import { ListRescuesRequest, RescueDto, RescueListDto, RestoreRequest } from './rescues.dto.js';

/** What workspaces had that no remote has, from when they went. */
@ApiTags('workspaces')
@ApiBearerAuth()
@Controller()
export class RescuesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get('tasks/:taskId/rescues')
  @ApiOperation({ operationId: 'listTaskRescues', summary: "What was rescued from a task's workspaces, newest first" })
  @ApiOkResponse({ type: RescueListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  async listOfTask(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() query: PageQuery,
  ): Promise<RescueListDto> {
    const { items, ...page } = await this.queries.execute(new ListTaskRescuesQuery(actor, taskId, pageRequest(query)));
    return { rescues: items, ...page };
  }

  @Get('rescues')
  @ApiOperation({ operationId: 'listRescues', summary: 'Everything that was rescued, newest first (administrators)' })
  @ApiOkResponse({ type: RescueListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401, [403, 'rescue.forbidden'])
  async list(@CurrentActor() actor: Actor, @Query() query: ListRescuesRequest): Promise<RescueListDto> {
    const { task_id = null, board_id = null } = query;
    const { items, ...page } = await this.queries.execute(
      new ListRescuesQuery(actor, { task_id, board_id }, pageRequest(query)),
    );
    return { rescues: items, ...page };
  }

  @Post('rescues/:rescueId/restore')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'restoreRescue',
    summary: "Bring rescued work back into the task's workspace (editors)",
    description: 'All files as they were, and the branches of the agent in a fresh repository.',
  })
  @ApiOkResponse({ type: RescueDto, description: 'It is back; the rescue itself is kept.' })
  @ApiProblems(
    ...([400, 401] as const),
    [403, 'board.forbidden', 'rescue.forbidden'],
    [404, 'rescue.not_found', 'task.not_found'],
    [
      ...([409, 'run.live', 'workspace.has_changes', 'workspace.removing'] as const),
      ...(['rescue.task_deleted', 'rescue.elsewhere'] as const),
    ],
    ...([413, 415] as const),
    [503, 'workspace.rescue_failed', 'workspace.busy'],
  )
  restore(
    @CurrentActor() actor: Actor,
    @IdParam('rescueId') rescueId: string,
    @Body() body?: RestoreRequest,
  ): Promise<RescueDto> {
    return this.commands.execute(new RestoreRescueCommand(actor, rescueId, body?.task_id ?? null));
  }
}
