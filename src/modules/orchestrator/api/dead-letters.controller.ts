import { Body, Controller, Delete, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import {
  ApiAcceptedResponse,
  ApiBearerAuth,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { pageRequest } from '../../../common/validation/page.dto.js';
import { ListDeadLettersQuery } from '../app/dead-letters.queries.js';
import { DismissDeadLetterCommand } from '../app/dismiss-dead-letter.js';
import { RedriveDeadLetterCommand, RedriveDeadLettersCommand } from '../app/redrive-dead-letters.js';
import { DeadLetterListDto, ListDeadLettersRequest } from './dead-letters.dto.js';
import { RedriveDeadLettersRequest, RedriveResultDto, toWhich } from './redrive.dto.js';
import { RunReceiptDto } from './run.dto.js';

const NOT_FOUND = [404, 'dead_letter.not_found'] as const;
const FORBIDDEN = [403, 'board.forbidden'] as const;

/** Runs that were given up. */
@ApiTags('orchestrator')
@ApiBearerAuth()
@Controller('orchestrator/dead-letters')
export class DeadLettersController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listDeadLetters',
    summary: 'Runs that were given up, on the boards that you may see, newest first',
    description:
      'One leaves the list when it is redriven or dismissed, and when a later run of its task has completed.',
  })
  @ApiOkResponse({ type: DeadLetterListDto, description: 'A page of them.' })
  @ApiProblems(400, 401)
  async list(@CurrentActor() actor: Actor, @Query() query: ListDeadLettersRequest): Promise<DeadLetterListDto> {
    const { agent_type, failure_code } = query;
    const filter = { board_id: query.board_id?.toLowerCase(), agent_type, failure_code };
    const list = new ListDeadLettersQuery(actor, filter, pageRequest(query));
    const { items, ...page } = await this.queries.execute(list);
    return { dead_letters: items, ...page };
  }

  @Post(':id/redrive')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'redriveDeadLetter',
    summary: 'Queue a new run of what was given up (editors)',
    description:
      'Of the same task, with the same agent type and priority, whatever state the task is in. Asked for twice it ' +
      'gives the same run.',
  })
  @ApiAcceptedResponse({ type: RunReceiptDto, description: 'Queued.' })
  @ApiProblems(
    ...([400, [401, 'auth.user_gone'], FORBIDDEN] as const),
    [404, 'dead_letter.not_found', 'task.not_found', 'agent_type.not_found'],
    [409, 'run.already_live', 'dead_letter.overtaken', 'dead_letter.gone', 'task.archived', 'board.wip_limit'],
    [409, 'agent_type.disabled', 'agent_type.process_runtime_off', 'idempotency.key_reused'],
    ...[413, 415],
  )
  redrive(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @Once() once: OnceKey | null,
  ): Promise<RunReceiptDto> {
    return this.commands.execute(new RedriveDeadLetterCommand(actor, id, once));
  }

  @Post('redrive')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'redriveDeadLetters',
    summary: 'Queue new runs of many that were given up (editors)',
    description:
      'By `ids`, or by `filter`: at most 200 at a time, and `next_cursor` for the next ones. The answer tells of each ' +
      'what became of it.',
  })
  @ApiOkResponse({ type: RedriveResultDto, description: 'What became of each.' })
  @ApiProblems(400, 401, [409, 'idempotency.key_reused'], 413, 415)
  redriveMany(
    @CurrentActor() actor: Actor,
    @Body() body: RedriveDeadLettersRequest,
    @Once() once: OnceKey | null,
  ): Promise<RedriveResultDto> {
    return this.commands.execute(new RedriveDeadLettersCommand(actor, toWhich(body), once));
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'dismissDeadLetter',
    summary: 'Take a run that was given up off the list (editors)',
    description: 'The run itself stays as it is.',
  })
  @ApiNoContentResponse({ description: 'Off the list.' })
  @ApiProblems(400, 401, FORBIDDEN, NOT_FOUND)
  async dismiss(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<void> {
    await this.commands.execute(new DismissDeadLetterCommand(actor, id));
  }
}
