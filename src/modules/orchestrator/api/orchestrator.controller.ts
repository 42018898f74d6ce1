import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiAcceptedResponse, ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import { GetOrchestratorStatusQuery } from '../app/orchestrator-status.query.js';
import { GetQueueQuery } from '../app/queue.queries.js';
import { StartRunCommand } from '../contracts/run.commands.js';
import { OrchestratorStatusDto } from './orchestrator-status.dto.js';
import { QueueDto, QueueQuery, TriggerRequest } from './orchestrator.dto.js';
import { RunReceiptDto } from './run.dto.js';
import { START_PROBLEMS } from './start-problems.js';

/** The orchestrator as a whole: its queue and how it is doing. */
@ApiTags('orchestrator')
@ApiBearerAuth()
@Controller('orchestrator')
export class OrchestratorController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post('trigger')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'triggerRun',
    summary: 'Queue a run of a task with its own agent type',
    description:
      'The run waits in the queue until every task that this one depends on is completed; `force` does not override that.',
  })
  @ApiAcceptedResponse({ type: RunReceiptDto, description: 'Queued.' })
  @ApiProblems(...START_PROBLEMS)
  trigger(
    @CurrentActor() actor: Actor,
    @Body() { task_id, force }: TriggerRequest,
    @Once() once: OnceKey | null,
  ): Promise<RunReceiptDto> {
    return this.commands.execute(new StartRunCommand(actor, task_id, { force }, once));
  }

  @Get('status')
  @ApiOperation({ operationId: 'getOrchestratorStatus', summary: 'How the orchestrator and its hosts are doing' })
  @ApiOkResponse({ type: OrchestratorStatusDto, description: 'Numbers of this moment.' })
  @ApiProblems(401)
  status(): Promise<OrchestratorStatusDto> {
    return this.queries.execute(new GetOrchestratorStatusQuery());
  }

  @Get('queue')
  @ApiOperation({
    operationId: 'getQueue',
    summary: 'Queued tasks that you may see, in the order they are served',
    description:
      'Each with its place in the whole queue, when it will start as far as that is known, and what keeps it from it.',
  })
  @ApiOkResponse({ type: QueueDto, description: 'A part of the queue.' })
  @ApiProblems(400, 401, [503, 'request.too_slow'])
  async queue(@CurrentActor() actor: Actor, @Query() { limit, offset }: QueueQuery): Promise<QueueDto> {
    const { items, total } = await this.queries.execute(new GetQueueQuery(actor, limit, offset));
    return { tasks: items, total };
  }
}
