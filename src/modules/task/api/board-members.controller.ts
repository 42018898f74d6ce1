import { Body, Controller, Delete, Get, HttpCode, Put, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { RemoveBoardMemberCommand, SetBoardMemberCommand } from '../app/board-members.js';
import { ListBoardMembersQuery } from '../app/board-members.queries.js';
import { BoardMemberDto, BoardMemberListDto, SetBoardMemberRequest } from './board-members.dto.js';

@ApiTags('boards')
@ApiBearerAuth()
@Controller('boards/:boardId/members')
export class BoardMembersController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listBoardMembers', summary: 'The members of a board, the oldest membership first' })
  @ApiOkResponse({ type: BoardMemberListDto, description: 'A page of members.' })
  @ApiProblems(400, 401, [404, 'board.not_found'])
  async list(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Query() query: PageQuery,
  ): Promise<BoardMemberListDto> {
    const { items, ...page } = await this.queries.execute(new ListBoardMembersQuery(actor, id, pageRequest(query)));
    return { members: items, ...page };
  }

  @Put(':userId')
  @ApiOperation({
    operationId: 'setBoardMember',
    summary: 'Make somebody a member of a board, or give a member another role (owners)',
  })
  @ApiOkResponse({ type: BoardMemberDto, description: 'The member as it is now.' })
  @ApiProblems(
    ...([400, 401, [403, 'board.forbidden'], [404, 'board.not_found', 'user.not_found']] as const),
    ...([[409, 'board.last_owner'], 413, 415] as const),
  )
  set(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @IdParam('userId') userId: string,
    @Body() { role }: SetBoardMemberRequest,
  ): Promise<BoardMemberDto> {
    return this.commands.execute(new SetBoardMemberCommand(actor, id, userId, role));
  }

  @Delete(':userId')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeBoardMember',
    summary: 'End a membership (owners; everybody their own)',
  })
  @ApiNoContentResponse({ description: 'No longer a member.' })
  @ApiProblems(
    ...([400, 401, [403, 'board.forbidden'], [404, 'board.not_found', 'member.not_found']] as const),
    ...([[409, 'board.last_owner']] as const),
  )
  async remove(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @IdParam('userId') userId: string,
  ): Promise<void> {
    await this.commands.execute(new RemoveBoardMemberCommand(actor, id, userId));
  }
}
