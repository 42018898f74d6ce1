import { Body, Controller, Delete, Get, HttpCode, Post } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiBody, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { DrainHostCommand } from '../app/drain-host.js';
import { GetHostQuery, ListHostsQuery } from '../app/host.queries.js';
import { RemoveHostCommand } from '../app/remove-host.js';
import { DrainHostRequest, HostDto, HostListDto } from './hosts.dto.js';

/** Machines that agents run on. */
@ApiTags('hosts')
@ApiBearerAuth()
@Controller('orchestrator/hosts')
export class HostsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listHosts', summary: 'All hosts: what they offer, and how they are' })
  @ApiOkResponse({ type: HostListDto, description: 'All of them, by name.' })
  @ApiProblems(401)
  async list(): Promise<HostListDto> {
    const hosts = await this.queries.execute(new ListHostsQuery());
    return { hosts, total: hosts.length };
  }

  @Get(':hostId')
  @ApiOperation({ operationId: 'getHost', summary: 'One host' })
  @ApiOkResponse({ type: HostDto, description: 'As it is now.' })
  @ApiProblems(400, 401, [404, 'host.not_found'])
  get(@IdParam('hostId') hostId: string): Promise<HostDto> {
    return this.queries.execute(new GetHostQuery(hostId));
  }

  @Post(':hostId/drain')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'drainHost',
    summary: 'Give a host no new runs (administrators)',
    description: 'What runs there goes on, over restarts of its server too. Again: the same.',
  })
  @ApiBody({ type: DrainHostRequest, required: false })
  @ApiOkResponse({ type: HostDto, description: 'It drains; it is empty when `running` is 0.' })
  @ApiProblems(400, 401, [403, 'host.forbidden'], [404, 'host.not_found'], 413, 415)
  drain(
    @CurrentActor() actor: Actor,
    @IdParam('hostId') hostId: string,
    @Body() body?: DrainHostRequest,
  ): Promise<HostDto> {
    return this.set(actor, hostId, true, body?.reason ?? null);
  }

  @Post(':hostId/undrain')
  @HttpCode(200)
  @ApiOperation({ operationId: 'undrainHost', summary: 'Give a host runs again (administrators)' })
  @ApiOkResponse({ type: HostDto, description: 'It takes runs.' })
  @ApiProblems(400, 401, [403, 'host.forbidden'], [404, 'host.not_found'])
  undrain(@CurrentActor() actor: Actor, @IdParam('hostId') hostId: string): Promise<HostDto> {
    return this.set(actor, hostId, false, null);
  }

  @Delete(':hostId')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeHost',
    summary: 'Forget a host that is down and has no runs (administrators)',
    description: 'Its own limits go with it. One that comes back is in the list again.',
  })
  @ApiNoContentResponse({ description: 'It is gone.' })
  @ApiProblems(400, 401, [403, 'host.forbidden'], [404, 'host.not_found'], [409, 'host.in_use'])
  remove(@CurrentActor() actor: Actor, @IdParam('hostId') hostId: string): Promise<void> {
    return this.commands.execute(new RemoveHostCommand(actor, hostId));
  }

  private async set(actor: Actor, hostId: string, draining: boolean, reason: string | null): Promise<HostDto> {
    await this.commands.execute(new DrainHostCommand(actor, hostId, draining, reason));
    return this.queries.execute(new GetHostQuery(hostId));
  }
}
