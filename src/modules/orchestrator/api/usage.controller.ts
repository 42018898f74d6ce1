import { Controller, Get, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { GetUsageQuery } from '../app/budget.queries.js';
import type { BudgetTarget } from '../app/budget-targets.js';
import { GetUsageSumsQuery } from '../app/usage-sums.query.js';
import { toUsageSum, UsageSumsDto, UsageSumsQuery } from './usage-sums.dto.js';
import { daysOf, toUsageOfDay, UsageDto, UsageQuery } from './usage.dto.js';

/** What agents have used. */
@ApiTags('budgets')
@ApiBearerAuth()
@Controller()
export class UsageController {
  constructor(private readonly queries: QueryBus) {}

  @Get('usage')
  @ApiOperation({
    operationId: 'getUsage',
    summary: 'What agents have used on the boards that you may see, by day, board, task, run or turn',
    description:
      'An attempt counts for the day on which it began, a turn for the one on which its prompt was sent. With what runs ' +
      'now; with that of tasks that were deleted since, but for runs and turns.',
  })
  @ApiOkResponse({ type: UsageSumsDto, description: 'The days that are asked for, added up.' })
  @ApiProblems(400, 401, [404, 'board.not_found', 'task.not_found'])
  async sums(@CurrentActor() actor: Actor, @Query() query: UsageSumsQuery): Promise<UsageSumsDto> {
    const { from, to } = daysOf(query);
    const { by = 'day', limit } = query;
    const of = { board_id: query.board_id ?? null, task_id: query.task_id ?? null, from, to };
    const rows = await this.queries.execute(new GetUsageSumsQuery(actor, by, of, limit));
    return { from, to, by, usage: rows.map(toUsageSum) };
  }

  @Get('boards/:boardId/usage')
  @ApiOperation({
    operationId: 'getBoardUsage',
    summary: 'What the agents of a board have used, by day and agent type',
    description: 'With what runs now, and with that of tasks that were deleted since.',
  })
  @ApiOkResponse({ type: UsageDto, description: 'The days that are asked for.' })
  @ApiProblems(400, 401, [404, 'board.not_found'])
  ofBoard(@CurrentActor() actor: Actor, @IdParam('boardId') id: string, @Query() query: UsageQuery): Promise<UsageDto> {
    return this.usage(actor, { scope: 'board', id }, query);
  }

  @Get('tasks/:taskId/usage')
  @ApiOperation({
    operationId: 'getTaskUsage',
    summary: 'What the agents of a task have used, by day and agent type',
    description: 'With what runs now.',
  })
  @ApiOkResponse({ type: UsageDto, description: 'The days that are asked for.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  ofTask(@CurrentActor() actor: Actor, @IdParam('taskId') id: string, @Query() query: UsageQuery): Promise<UsageDto> {
    return this.usage(actor, { scope: 'task', id }, query);
  }

  private async usage(
    actor: Actor,
    target: BudgetTarget & { scope: 'board' | 'task' },
    query: UsageQuery,
  ): Promise<UsageDto> {
    const { from, to } = daysOf(query);
    const rows = await this.queries.execute(new GetUsageQuery(actor, target, from, to));
    return { from, to, usage: rows.map(toUsageOfDay) };
  }
}
