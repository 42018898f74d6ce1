import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { StopRequest } from '../../../common/http/stop.dto.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { GetInstanceQuery, ListInstancesQuery, ListTaskInstancesQuery } from '../app/instance.queries.js';
import { StopInstanceCommand } from '../app/stop-agent.js';
import { AgentDetailsDto, AgentInstanceListDto, ListAgentsRequest, ListTaskAgentsRequest } from './agent.dto.js';

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
  async list(@CurrentActor() actor: Actor, @Query() query: ListAgentsRequest): Promise<AgentInstanceListDto> {
    const { status = null, agent_type = null, task_id = null, board_id = null } = query;
    const filter = { status, agent_type, task_id, board_id };
    const { items, ...page } = await this.queries.execute(new ListInstancesQuery(actor, filter, pageRequest(query)));
    return { agents: items, ...page };
  }

  @Get('tasks/:taskId/agents')
  @ApiOperation({ operationId: 'listTaskAgents', summary: 'Agent instances of a task, newest first' })
  @ApiOkResponse({ type: AgentInstanceListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  async listOfTask(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() query: ListTaskAgentsRequest,
  ): Promise<AgentInstanceListDto> {
    const { status = null, agent_type = null } = query;
    const { items, ...page } = await this.queries.execute(
      new ListTaskInstancesQuery(actor, taskId, { status, agent_type }, pageRequest(query)),
    );
    return { agents: items, ...page };
  }

  @Get('agents/:agentId')
  @ApiOperation({ operationId: 'getAgent', summary: 'One agent instance' })
  @ApiOkResponse({ type: AgentDetailsDto, description: 'The agent instance.' })
  @ApiProblems(400, 401, [404, 'agent.not_found'])
  get(@CurrentActor() actor: Actor, @IdParam('agentId') agentId: string): Promise<AgentDetailsDto> {
    return this.queries.execute(new GetInstanceQuery(actor, agentId));
  }

  @Post('agents/:agentId/stop')
  @HttpCode(200)
  @ApiOperation({ operationId: 'stopAgent', summary: 'Stop a running agent (editors)' })
  @ApiOkResponse({
    type: AgentDetailsDto,
    description: 'Recorded; the agent ends within the grace time. A finished one is left as it is.',
  })
  @ApiProblems(400, 401, [403, 'board.forbidden'], [404, 'agent.not_found'], 413, 415)
  stop(
    @CurrentActor() actor: Actor,
    @IdParam('agentId') agentId: string,
    @Body() body?: StopRequest,
  ): Promise<AgentDetailsDto> {
    return this.commands.execute(new StopInstanceCommand(actor, agentId, body?.reason ?? null, body?.force ?? false));
  }
}
