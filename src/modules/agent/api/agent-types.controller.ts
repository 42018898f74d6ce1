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
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { ETAG_HEADER, IfMatch, WithEtag } from '../../../common/http/etag.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import { toRetryPolicy } from '../../../common/retries/retry-policy.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { CreateAgentTypeCommand, UpdateAgentTypeCommand } from '../app/agent-type.crud.js';
import { GetAgentTypeQuery, ListAgentTypesQuery } from '../app/agent-type.queries.js';
import { DeleteAgentTypeCommand } from '../app/delete-agent-type.js';
import type { ResourceLimits } from '../contracts/agent.types.js';
import { CreateAgentTypeRequest, ListAgentTypesRequest, UpdateAgentTypeRequest } from './agent-type-requests.dto.js';
import { AgentTypeDto, AgentTypeListDto } from './agent-type.dto.js';
import type { ResourceLimitsDto } from './resource-limits.dto.js';

@ApiTags('agent types')
@ApiBearerAuth()
@Controller('agent-types')
export class AgentTypesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listAgentTypes', summary: 'Agent types, by name' })
  @ApiOkResponse({ type: AgentTypeListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401)
  async list(@CurrentActor() actor: Actor, @Query() query: ListAgentTypesRequest): Promise<AgentTypeListDto> {
    const filter = { enabled: query.enabled ?? null, capability: query.capability ?? null };
    const { items, ...page } = await this.queries.execute(new ListAgentTypesQuery(actor, filter, pageRequest(query)));
    return { agent_types: items, ...page };
  }

  @Get(':typeId')
  @WithEtag()
  @ApiOperation({ operationId: 'getAgentType', summary: 'One agent type' })
  @ApiOkResponse({ type: AgentTypeDto, description: 'The agent type.', headers: ETAG_HEADER })
  @ApiProblems(400, 401, [404, 'agent_type.not_found'])
  get(@CurrentActor() actor: Actor, @IdParam('typeId') typeId: string): Promise<AgentTypeDto> {
    return this.queries.execute(new GetAgentTypeQuery(actor, typeId));
  }

  @Post()
  @WithEtag()
  @ApiOperation({ operationId: 'createAgentType', summary: 'Register an agent type (administrators)' })
  @ApiCreatedResponse({ type: AgentTypeDto, description: 'Registered.', headers: ETAG_HEADER })
  @ApiProblems(
    ...([400, 401, [403, 'agent_type.forbidden']] as const),
    [409, 'agent_type.name_taken', 'idempotency.key_reused'],
    ...[413, 415],
  )
  create(
    @CurrentActor() actor: Actor,
    @Once() once: OnceKey | null,
    @Body() body: CreateAgentTypeRequest,
  ): Promise<AgentTypeDto> {
    const { name, ...given } = body;
    const fields = {
      description: given.description ?? null,
      docker_image: given.docker_image,
      docker_tag: given.docker_tag ?? 'latest',
      command: given.command ?? null,
      runtime: given.runtime ?? 'docker',
      protocol: given.protocol ?? 'json-lines',
      default_resources: limits(given.default_resources),
      environment_vars: given.environment_vars ?? {},
      capabilities: given.capabilities ?? [],
      mounts: given.mounts ?? [],
      network: given.network ?? 'isolated',
      allowed_hosts: given.allowed_hosts ?? [],
      inactivity_timeout_seconds: given.inactivity_timeout_seconds ?? null,
      wall_clock_timeout_seconds: given.wall_clock_timeout_seconds ?? null,
      host_labels: given.host_labels ?? [],
      retry_policy: toRetryPolicy(given.retry_policy) ?? null,
      enabled: given.enabled ?? true,
    };
    return this.commands.execute(new CreateAgentTypeCommand(actor, name, fields, once));
  }

  @Put(':typeId')
  @WithEtag()
  @ApiOperation({
    operationId: 'updateAgentType',
    summary: 'Change fields of an agent type (administrators)',
    description: '`{"enabled": false}` refuses new runs of it. What changes nothing makes no new version.',
  })
  @ApiOkResponse({
    type: AgentTypeDto,
    description: 'Changed; attempts under way keep what they began with.',
    headers: ETAG_HEADER,
  })
  @ApiProblems(
    ...([400, 401, [403, 'agent_type.forbidden']] as const),
    [404, 'agent_type.not_found'],
    [412, 'precondition.stale'],
    ...[413, 415],
  )
  update(
    @CurrentActor() actor: Actor,
    @IdParam('typeId') typeId: string,
    @IfMatch() versions: number[] | null,
    @Body() body: UpdateAgentTypeRequest,
  ): Promise<AgentTypeDto> {
    const { default_resources, retry_policy, ...rest } = body;
    const plain = { ...rest, retry_policy: toRetryPolicy(retry_policy) };
    const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined));
    const changes = { ...given, ...(default_resources ? { default_resources: limits(default_resources) } : {}) };
    return this.commands.execute(new UpdateAgentTypeCommand(actor, typeId, changes, versions));
  }

  @Delete(':typeId')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteAgentType',
    summary: 'Delete an agent type that nothing names (administrators)',
    description: 'One that tasks or runs name can be disabled instead: PUT `{"enabled": false}`.',
  })
  @ApiNoContentResponse({ description: 'Deleted, with its versions.' })
  @ApiProblems(
    ...([400, 401, [403, 'agent_type.forbidden']] as const),
    [404, 'agent_type.not_found'],
    [409, 'agent_type.in_use'],
    [412, 'precondition.stale'],
  )
  delete(
    @CurrentActor() actor: Actor,
    @IdParam('typeId') typeId: string,
    @IfMatch() versions: number[] | null,
  ): Promise<void> {
    return this.commands.execute(new DeleteAgentTypeCommand(actor, typeId, versions));
  }
}

function limits({ cpu_limit, memory_limit, disk_limit }: ResourceLimitsDto = {}): ResourceLimits {
  return {
    ...(cpu_limit ? { cpu_limit } : {}),
    ...(memory_limit ? { memory_limit } : {}),
    ...(disk_limit ? { disk_limit } : {}),
  };
}
