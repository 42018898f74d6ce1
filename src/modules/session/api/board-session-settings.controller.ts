import { Body, Controller, Delete, Get, HttpCode, Put } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { RemoveSessionSettingsCommand, SetSessionSettingsCommand } from '../app/change-session-settings.js';
import { GetSessionSettingsQuery } from '../app/session-settings.queries.js';
import { BoardSettingsDto, SetBoardSettingsRequest, toBoardSettings, toSettings } from './session-settings.dto.js';

const NOT_FOUND = [404, 'board.not_found'] as const;
const FORBIDDEN = [403, 'board.forbidden'] as const;

/** What sessions of a board go by. */
@ApiTags('sessions')
@ApiBearerAuth()
@Controller('boards/:boardId/session-settings')
export class BoardSettingsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'getBoardSessionSettings', summary: 'What sessions of a board go by' })
  @ApiOkResponse({ type: BoardSettingsDto, description: 'The settings; empty where nobody has set any.' })
  @ApiProblems(400, 401, NOT_FOUND)
  async get(@CurrentActor() actor: Actor, @IdParam('boardId') id: string): Promise<BoardSettingsDto> {
    return toBoardSettings(await this.queries.execute(new GetSessionSettingsQuery(actor, { scope: 'board', id })));
  }

  @Put()
  @ApiOperation({
    operationId: 'setBoardSessionSettings',
    summary: 'Say what sessions of a board go by (owners, administrators)',
    description:
      'All of it at once. Rules hold at once, also for what waits for an answer; all else for attempts that begin from now on.',
  })
  @ApiOkResponse({ type: BoardSettingsDto, description: 'The settings as they are now.' })
  @ApiProblems(400, 401, FORBIDDEN, NOT_FOUND, 413, 415)
  async set(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Body() body: SetBoardSettingsRequest,
  ): Promise<BoardSettingsDto> {
    await this.commands.execute(new SetSessionSettingsCommand(actor, { scope: 'board', id }, toSettings(body)));
    return this.get(actor, id);
  }

  @Delete()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeBoardSessionSettings',
    summary: 'Take the session settings of a board away (owners, administrators)',
  })
  @ApiNoContentResponse({ description: 'Removed; what waits for an answer is looked at again.' })
  @ApiProblems(400, 401, FORBIDDEN, [404, 'board.not_found', 'session_settings.not_found'])
  async remove(@CurrentActor() actor: Actor, @IdParam('boardId') id: string): Promise<void> {
    await this.commands.execute(new RemoveSessionSettingsCommand(actor, { scope: 'board', id }));
  }
}
