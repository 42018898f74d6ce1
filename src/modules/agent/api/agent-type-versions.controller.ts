import { Controller, Get, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { GetAgentTypeVersionQuery, ListAgentTypeVersionsQuery } from '../app/agent-type.queries.js';
import { AgentTypeVersionDto, AgentTypeVersionListDto } from './agent-type.dto.js';
import { VersionParam } from './version-param.decorator.js';

@ApiTags('agent types')
@ApiBearerAuth()
@Controller('agent-types/:typeId/versions')
export class AgentTypeVersionsController {
  constructor(private readonly queries: QueryBus) {}

  @Get()
  @ApiOperation({ operationId: 'listAgentTypeVersions', summary: 'What an agent type has said, newest first' })
  @ApiOkResponse({ type: AgentTypeVersionListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401, [404, 'agent_type.not_found'])
  async list(
    @CurrentActor() actor: Actor,
    @IdParam('typeId') typeId: string,
    @Query() query: PageQuery,
  ): Promise<AgentTypeVersionListDto> {
    const { items, ...page } = await this.queries.execute(
      new ListAgentTypeVersionsQuery(actor, typeId, pageRequest(query)),
    );
    return { versions: items, ...page };
  }

  @Get(':version')
  @ApiOperation({
    operationId: 'getAgentTypeVersion',
    summary: 'An agent type as it was in one version',
    description: "An agent instance's `agent_type_version` says which one it ran with.",
  })
  @ApiOkResponse({ type: AgentTypeVersionDto, description: 'The version.' })
  @ApiProblems(400, 401, [404, 'agent_type.not_found', 'agent_type_version.not_found'])
  get(
    @CurrentActor() actor: Actor,
    @IdParam('typeId') typeId: string,
    @VersionParam() version: number,
  ): Promise<AgentTypeVersionDto> {
    return this.queries.execute(new GetAgentTypeVersionQuery(actor, typeId, version));
  }
}
