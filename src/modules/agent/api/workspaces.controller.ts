import { Controller, Delete, Get, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { RemoveWorkspaceCommand } from '../app/remove-workspace.js';
import { ListWorkspacesQuery } from '../app/workspace.queries.js';
import { RemovalDto } from './rescues.dto.js';
import { ListWorkspacesRequest, WorkspaceListDto } from './workspaces.dto.js';

/** Checkouts of tasks, on the server's disk. */
@ApiTags('workspaces')
@ApiBearerAuth()
@Controller()
export class WorkspacesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get('workspaces')
  @ApiOperation({
    operationId: 'listWorkspaces',
    summary: 'All workspaces and what they take, newest first (administrators)',
  })
  @ApiOkResponse({ type: WorkspaceListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401, [403, 'workspace.forbidden'])
  async list(@CurrentActor() actor: Actor, @Query() query: ListWorkspacesRequest): Promise<WorkspaceListDto> {
    const { state = null, board_id = null, task_id = null } = query;
    const { items, ...page } = await this.queries.execute(
      new ListWorkspacesQuery(actor, { state, board_id, task_id }, pageRequest(query)),
    );
    return { workspaces: items, ...page };
  }

  @Delete('tasks/:taskId/workspace')
  @ApiOperation({
    operationId: 'removeWorkspace',
    summary: "Free the disk of a task's workspace; what is only there is rescued first (editors)",
  })
  @ApiOkResponse({ type: RemovalDto, description: 'It is gone. The next run of the task checks out anew.' })
  @ApiProblems(
    ...([400, 401] as const),
    [403, 'board.forbidden'],
    [404, 'task.not_found', 'workspace.not_found'],
    [409, 'run.live', 'workspace.removing'],
    [503, 'workspace.rescue_failed', 'workspace.busy', 'host.elsewhere'],
  )
  remove(@CurrentActor() actor: Actor, @IdParam('taskId') taskId: string): Promise<RemovalDto> {
    return this.commands.execute(new RemoveWorkspaceCommand(actor, taskId));
  }
}
