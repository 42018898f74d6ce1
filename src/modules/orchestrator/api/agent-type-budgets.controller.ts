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
import { RUN_PERIOD, RunPeriodPipe } from './budget-period.js';
import { BudgetListDto, limitsOf, SetBudgetRequest } from './budget.dto.js';

const NOT_FOUND = [404, 'agent_type.not_found'] as const;

/** What each run of an agent type may use. */
@ApiTags('budgets')
@ApiBearerAuth()
@Controller('agent-types/:typeId/budgets')
export class AgentTypeBudgetsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listAgentTypeBudgets', summary: 'The budget of each run of an agent type' })
  @ApiOkResponse({ type: BudgetListDto, description: 'All of them, none where there is no limit.' })
  @ApiProblems(400, 401, NOT_FOUND)
  async list(@CurrentActor() actor: Actor, @IdParam('typeId') id: string): Promise<BudgetListDto> {
    return { budgets: await this.queries.execute(new ListBudgetsQuery(actor, { scope: 'agent_type', id })) };
  }

  @Put(':period')
  @ApiOperation({
    operationId: 'setAgentTypeBudget',
    summary: 'Set the budget of each run of an agent type (administrators)',
    description:
      'All limits at once; what is left out is none. It holds at once for what is about to start, within seconds for what runs, and runs that wait for a budget are looked at again.',
  })
  @ApiParam(RUN_PERIOD)
  @ApiOkResponse({ type: BudgetListDto, description: 'All budgets as they are now.' })
  @ApiProblems(400, 401, [403, 'agent_type.forbidden'], NOT_FOUND, 413, 415)
  async set(
    @CurrentActor() actor: Actor,
    @IdParam('typeId') id: string,
    @Param('period', RunPeriodPipe) period: BudgetPeriod,
    @Body() body: SetBudgetRequest,
  ): Promise<BudgetListDto> {
    await this.commands.execute(new SetBudgetCommand(actor, { scope: 'agent_type', id }, period, limitsOf(body)));
    return this.list(actor, id);
  }

  @Delete(':period')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeAgentTypeBudget',
    summary: 'Take the budget of an agent type away (administrators)',
  })
  @ApiParam(RUN_PERIOD)
  @ApiNoContentResponse({ description: 'Removed; runs that waited for it are looked at again.' })
  @ApiProblems(400, 401, [403, 'agent_type.forbidden'], [404, 'agent_type.not_found', 'budget.not_found'])
  async remove(
    @CurrentActor() actor: Actor,
    @IdParam('typeId') id: string,
    @Param('period', RunPeriodPipe) period: BudgetPeriod,
  ): Promise<void> {
    await this.commands.execute(new RemoveBudgetCommand(actor, { scope: 'agent_type', id }, period));
  }
}
