import { Body, Controller, Delete, Get, HttpCode, Put } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { RemoveSessionSettingsCommand, SetSessionSettingsCommand } from '../app/change-session-settings.js';
import { GetSessionSettingsQuery } from '../app/session-settings.queries.js';
import { AgentTypeSettingsDto, SetAgentTypeSettingsRequest, toSettings } from './session-settings.dto.js';

const NOT_FOUND = [404, 'agent_type.not_found'] as const;
const FORBIDDEN = [403, 'agent_type.forbidden'] as const;

/** What sessions of an agent type go by. */
@ApiTags('sessions')
@ApiBearerAuth()
@Controller('agent-types/:typeId/session-settings')
export class AgentTypeSettingsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'getAgentTypeSessionSettings', summary: 'What sessions of an agent type go by' })
  @ApiOkResponse({ type: AgentTypeSettingsDto, description: 'The settings; empty where nobody has set any.' })
  @ApiProblems(400, 401, NOT_FOUND)
  get(@CurrentActor() actor: Actor, @IdParam('typeId') id: string): Promise<AgentTypeSettingsDto> {
    return this.queries.execute(new GetSessionSettingsQuery(actor, { scope: 'agent_type', id }));
  }

  @Put()
  @ApiOperation({
    operationId: 'setAgentTypeSessionSettings',
    summary: 'Say what sessions of an agent type go by (administrators)',
    description:
      'All of it at once. Rules hold at once, also for what waits for an answer; all else for attempts that begin from now on.',
  })
  @ApiOkResponse({ type: AgentTypeSettingsDto, description: 'The settings as they are now.' })
  @ApiProblems(400, 401, FORBIDDEN, NOT_FOUND, 413, 415)
  async set(
    @CurrentActor() actor: Actor,
    @IdParam('typeId') id: string,
    @Body() body: SetAgentTypeSettingsRequest,
  ): Promise<AgentTypeSettingsDto> {
    await this.commands.execute(new SetSessionSettingsCommand(actor, { scope: 'agent_type', id }, toSettings(body)));
    return this.get(actor, id);
  }

  @Delete()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeAgentTypeSessionSettings',
    summary: 'Take the session settings of an agent type away (administrators)',
  })
  @ApiNoContentResponse({ description: 'Removed; what waits for an answer is looked at again.' })
  @ApiProblems(400, 401, FORBIDDEN, [404, 'agent_type.not_found', 'session_settings.not_found'])
  async remove(@CurrentActor() actor: Actor, @IdParam('typeId') id: string): Promise<void> {
    await this.commands.execute(new RemoveSessionSettingsCommand(actor, { scope: 'agent_type', id }));
  }
}
