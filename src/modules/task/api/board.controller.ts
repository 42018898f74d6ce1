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
import { Once } from '../../../common/idempotency/once.decorator.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { CreateBoardCommand, UpdateBoardCommand } from '../app/board.crud.js';
import { GetBoardQuery, ListBoardsQuery } from '../app/board.queries.js';
import { BoardDetailsDto } from './board-details.dto.js';
import { DeleteBoardCommand } from '../app/delete-board.js';
import { SetWipLimitsCommand } from '../app/set-wip-limits.js';
import { BoardDto, BoardListDto, CreateBoardRequest, UpdateBoardRequest } from './board.dto.js';
import { DeleteQuery } from './force.dto.js';
import { SetWipLimitsRequest } from './wip-limits.dto.js';

@ApiTags('boards')
@ApiBearerAuth()
@Controller('boards')
export class BoardController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @WithEtag()
  @ApiOperation({ operationId: 'createBoard', summary: 'Make a board; you are its owner' })
  @ApiCreatedResponse({ type: BoardDto, description: 'The new board.', headers: ETAG_HEADER })
  @ApiProblems(400, [401, 'auth.user_gone'], [409, 'idempotency.key_reused'], 413, 415)
  create(
    @CurrentActor() actor: Actor,
    @Body() { name, description = null }: CreateBoardRequest,
    @Once() once: OnceKey | null,
  ): Promise<BoardDto> {
    return this.commands.execute(new CreateBoardCommand(actor, { name, description }, once));
  }

  @Get()
  @ApiOperation({
    operationId: 'listBoards',
    summary: 'The boards you are a member of, newest first; all of them for administrators',
  })
  @ApiOkResponse({ type: BoardListDto, description: 'A page of boards.' })
  @ApiProblems(400, 401)
  async list(@CurrentActor() actor: Actor, @Query() query: PageQuery): Promise<BoardListDto> {
    const { items, ...page } = await this.queries.execute(new ListBoardsQuery(actor, pageRequest(query)));
    return { boards: items, ...page };
  }

  @Get(':boardId')
  @WithEtag()
  @ApiOperation({ operationId: 'getBoard', summary: 'One board' })
  @ApiOkResponse({ type: BoardDetailsDto, description: 'The board.', headers: ETAG_HEADER })
  @ApiProblems(400, 401, [404, 'board.not_found'])
  get(@CurrentActor() actor: Actor, @IdParam('boardId') id: string): Promise<BoardDetailsDto> {
    return this.queries.execute(new GetBoardQuery(actor, id));
  }

  @Put(':boardId')
  @WithEtag()
  @ApiOperation({ operationId: 'updateBoard', summary: 'Change the given fields of a board (owners)' })
  @ApiOkResponse({ type: BoardDto, description: 'The board as it is now.', headers: ETAG_HEADER })
  @ApiProblems(400, 401, [403, 'board.forbidden'], [404, 'board.not_found'], [412, 'precondition.stale'], 413, 415)
  update(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Body() { name, description }: UpdateBoardRequest,
    @IfMatch() versions: number[] | null,
  ): Promise<BoardDto> {
    return this.commands.execute(new UpdateBoardCommand(actor, id, { name, description }, versions));
  }

  @Put(':boardId/wip-limits')
  @WithEtag()
  @ApiOperation({
    operationId: 'setWipLimits',
    summary: 'Limit how many tasks may be in a column of a board at once (owners, administrators)',
    description:
      'Merges: a column that is absent keeps its limit, null takes it away, 0 closes the column. Where that changes ' +
      'anything the board gets a new version. With `If-Match` it is done only if the board is still of that version.',
  })
  @ApiOkResponse({ type: BoardDetailsDto, description: 'The board as it is now.', headers: ETAG_HEADER })
  @ApiProblems(400, 401, [403, 'board.forbidden'], [404, 'board.not_found'], [412, 'precondition.stale'], 413, 415)
  setWipLimits(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Body() { TODO, IN_PROGRESS, BLOCKED }: SetWipLimitsRequest,
    @IfMatch() versions: number[] | null,
  ): Promise<BoardDetailsDto> {
    return this.commands.execute(new SetWipLimitsCommand(actor, id, { TODO, IN_PROGRESS, BLOCKED }, versions));
  }

  @Delete(':boardId')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteBoard', summary: 'Delete a board with all its tasks (owners)' })
  @ApiNoContentResponse({ description: 'Deleted.' })
  @ApiProblems(
    400,
    401,
    [403, 'board.forbidden'],
    [404, 'board.not_found'],
    [409, 'board.run_live', 'task.still_stopping'],
    [412, 'precondition.stale'],
  )
  async delete(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @IfMatch() versions: number[] | null,
    @Query() { force }: DeleteQuery,
  ): Promise<void> {
    await this.commands.execute(new DeleteBoardCommand(actor, id, versions, force));
  }
}
