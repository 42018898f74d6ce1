import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { StopRequest } from '../../../common/http/stop.dto.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { GetInstanceQuery, ListInstancesQuery } from '../app/instance.queries.js';
import { StopInstanceCommand } from '../app/stop-agent.js';
import { AgentInstanceDto, AgentInstanceListDto, AgentListQuery } from './agent.dto.js';

@ApiTags('agents')
@ApiBearerAuth()
@Controller()
export class AgentsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get('agents')
  @ApiOperation({ operationId: 'listAgents', summary: 'Agent instances that you may see, newest first' })
  @ApiOkResponse({ type: AgentInstanceListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401)
  list(@CurrentActor() actor: Actor, @Query() query: AgentListQuery): Promise<AgentInstanceListDto> {
    return this.page(actor, null, query);
  }

  @Get('tasks/:taskId/agents')
  @ApiOperation({ operationId: 'listTaskAgents', summary: 'Agent instances of a task, newest first' })
  @ApiOkResponse({ type: AgentInstanceListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  listOfTask(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() query: AgentListQuery,
  ): Promise<AgentInstanceListDto> {
    return this.page(actor, taskId, query);
  }

  @Get('agents/:agentId')
  @ApiOperation({ operationId: 'getAgent', summary: 'One agent instance' })
  @ApiOkResponse({ type: AgentInstanceDto, description: 'The agent instance.' })
  @ApiProblems(400, 401, [404, 'agent.not_found'])
  get(@CurrentActor() actor: Actor, @IdParam('agentId') agentId: string): Promise<AgentInstanceDto> {
    return this.queries.execute(new GetInstanceQuery(actor, agentId));
  }

  @Post('agents/:agentId/stop')
  @HttpCode(200)
  @ApiOperation({ operationId: 'stopAgent', summary: 'Stop a running agent' })
  @ApiOkResponse({
    type: AgentInstanceDto,
    description: 'Recorded; the agent ends within the grace time. A finished one is left as it is.',
  })
  @ApiProblems(400, 401, 403, [404, 'agent.not_found'], 413, 415)
  stop(
    @CurrentActor() actor: Actor,
    @IdParam('agentId') agentId: string,
    @Body() body?: StopRequest,
  ): Promise<AgentInstanceDto> {
    return this.commands.execute(new StopInstanceCommand(actor, agentId, body?.reason ?? null, body?.force ?? false));
  }

  private async page(actor: Actor, task_id: string | null, query: AgentListQuery): Promise<AgentInstanceListDto> {
    const filter = { task_id, status: query.status ?? null };
    const { items, total, next_cursor } = await this.queries.execute(
      new ListInstancesQuery(actor, filter, pageRequest(query)),
    );
    return { agents: items, total, next_cursor };
  }
}
