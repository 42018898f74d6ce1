import { Controller, Get } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { ListAttemptsQuery } from '../app/attempt.queries.js';
import { AttemptsDto } from './attempts.dto.js';

/** The attempts of one run. */
@ApiTags('orchestrator')
@ApiBearerAuth()
@Controller('orchestrator/tasks/:taskId/runs/:runId/attempts')
export class AttemptsController {
  constructor(private readonly queries: QueryBus) {}

  @Get()
  @ApiOperation({
    operationId: 'listRunAttempts',
    summary: 'The attempts of a run, why each failed, and when the next is due',
  })
  @ApiOkResponse({ type: AttemptsDto, description: 'All of them, oldest first.' })
  @ApiProblems(400, 401, [404, 'task.not_found', 'run.not_found'])
  list(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @IdParam('runId') runId: string,
  ): Promise<AttemptsDto> {
    return this.queries.execute(new ListAttemptsQuery(actor, taskId, runId));
  }
}
