import { Body, Controller, Delete, Get, HttpCode, Param, Put } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { ListBudgetsQuery } from '../app/budget.queries.js';
import { RemoveBudgetCommand, SetBudgetCommand } from '../app/change-budget.js';
import type { BudgetPeriod } from '../domain/budget.js';
import { PERIOD, PeriodPipe } from './budget-period.js';
import { BudgetListDto, limitsOf, SetBudgetRequest } from './budget.dto.js';

const NOT_FOUND = [404, 'board.not_found'] as const;

/** What the agents of a board may use. */
@ApiTags('budgets')
@ApiBearerAuth()
@Controller('boards/:boardId/budgets')
export class BoardBudgetsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listBoardBudgets', summary: 'The budgets of a board, with what is used of them' })
  @ApiOkResponse({ type: BudgetListDto, description: 'All of them, none where there is no limit.' })
  @ApiProblems(400, 401, NOT_FOUND)
  async list(@CurrentActor() actor: Actor, @IdParam('boardId') id: string): Promise<BudgetListDto> {
    return { budgets: await this.queries.execute(new ListBudgetsQuery(actor, { scope: 'board', id })) };
  }

  @Put(':period')
  @ApiOperation({
    operationId: 'setBoardBudget',
    summary: 'Set a budget of a board (owners, administrators)',
    description:
      'All limits at once; what is left out is none. It holds at once for what is about to start, within seconds for what runs, and runs that wait for a budget are looked at again.',
  })
  @ApiParam(PERIOD)
  @ApiOkResponse({ type: BudgetListDto, description: 'All budgets as they are now.' })
  @ApiProblems(400, 401, [403, 'board.forbidden'], NOT_FOUND, 413, 415)
  async set(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Param('period', PeriodPipe) period: BudgetPeriod,
    @Body() body: SetBudgetRequest,
  ): Promise<BudgetListDto> {
    await this.commands.execute(new SetBudgetCommand(actor, { scope: 'board', id }, period, limitsOf(body)));
    return this.list(actor, id);
  }

  @Delete(':period')
  @HttpCode(204)
  @ApiOperation({ operationId: 'removeBoardBudget', summary: 'Take a budget of a board away (owners, administrators)' })
  @ApiParam(PERIOD)
  @ApiNoContentResponse({ description: 'Removed; runs that waited for it are looked at again.' })
  @ApiProblems(400, 401, [403, 'board.forbidden'], [404, 'board.not_found', 'budget.not_found'])
  async remove(
    @CurrentActor() actor: Actor,
    @IdParam('boardId') id: string,
    @Param('period', PeriodPipe) period: BudgetPeriod,
  ): Promise<void> {
    await this.commands.execute(new RemoveBudgetCommand(actor, { scope: 'board', id }, period));
  }
}
