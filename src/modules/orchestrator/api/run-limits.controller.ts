import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Injectable,
  Param,
  Put,
  Query,
  type PipeTransform,
} from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import { RemoveRunLimitCommand, SetRunLimitCommand } from '../app/change-run-limit.js';
import { GetRunLimitQuery, ListRunLimitsQuery } from '../app/run-limits.queries.js';
import { LIMIT_SCOPES, type LimitScope } from '../domain/run-limit.entity.js';
import { RunLimitDto, RunLimitListDto, RunLimitsQuery, SetRunLimitRequest } from './run-limits.dto.js';

const MAX_SUBJECT = 100; // the column's
const WEIGHED: readonly LimitScope[] = ['board', 'user'];

@Injectable()
class ScopePipe implements PipeTransform<unknown, LimitScope> {
  transform(value: unknown): LimitScope {
    const scope = LIMIT_SCOPES.find((each) => each === value);
    if (scope) return scope;
    throw invalidRequest([{ field: 'scope', message: `must be one of ${LIMIT_SCOPES.join(', ')}` }]);
  }
}

@Injectable()
class SubjectPipe implements PipeTransform<unknown, string> {
  transform(value: unknown): string {
    const isRight = typeof value === 'string' && value.length <= MAX_SUBJECT && !value.includes('\0');
    if (isRight) return value;
    throw invalidRequest([{ field: 'subject', message: `must be a text of at most ${MAX_SUBJECT} characters` }]);
  }
}

const SCOPE = { name: 'scope', enum: LIMIT_SCOPES, enumName: 'LimitScope', example: 'board' } as const;
const SUBJECT = {
  name: 'subject',
  description: 'Id of the host, board or user, name of the agent type; `*`: each that has none of its own.',
  schema: { type: 'string', minLength: 1, maxLength: MAX_SUBJECT },
  example: '019ac1a5-7c1e-7000-8000-000000000004',
} as const;

/** How many runs may hold a place at once, and whose turn comes more often. */
@ApiTags('limits')
@ApiBearerAuth()
@Controller('orchestrator/limits')
export class RunLimitsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listRunLimits',
    summary: 'Limits of runs at once, and weights, with how many hold a place now',
    description:
      'Administrators see all; others those of the whole server and of agent types, of the boards they may read and of themselves, and what holds for boards and users that have none of their own.',
  })
  @ApiOkResponse({ type: RunLimitListDto, description: 'A part of them, by scope and subject.' })
  @ApiProblems(400, 401)
  async list(@CurrentActor() actor: Actor, @Query() { limit, offset }: RunLimitsQuery): Promise<RunLimitListDto> {
    const { items, total } = await this.queries.execute(new ListRunLimitsQuery(actor, limit, offset));
    return { limits: items, total };
  }

  @Put(':scope/:subject')
  @ApiOperation({
    operationId: 'setRunLimit',
    summary: 'Set a limit, from the next claim on (administrators)',
    description:
      'Both values are set; what is left out is none. One without any says that what holds for `*` does not hold for it. Runs that hold a place keep it.',
  })
  @ApiParam(SCOPE)
  @ApiParam(SUBJECT)
  @ApiOkResponse({ type: RunLimitDto, description: 'As it is now.' })
  @ApiProblems(
    ...([400, 401, [403, 'run_limit.forbidden']] as const),
    [404, 'run_limit.not_found', 'host.not_found', 'board.not_found', 'user.not_found', 'agent_type.not_found'],
    ...([413, 415] as const),
  )
  async set(
    @CurrentActor() actor: Actor,
    @Param('scope', ScopePipe) scope: LimitScope,
    @Param('subject', SubjectPipe) subject: string,
    @Body() { max_running = null, weight = null }: SetRunLimitRequest,
  ): Promise<RunLimitDto> {
    if (weight !== null && !WEIGHED.includes(scope)) {
      throw invalidRequest([
        { field: 'weight', message: `must be null: only a ${WEIGHED.join(' or a ')} has a weight` },
      ]);
    }
    await this.commands.execute(new SetRunLimitCommand(actor, scope, subject, { max_running, weight }));
    return this.queries.execute(new GetRunLimitQuery(scope, subject));
  }

  @Delete(':scope/:subject')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeRunLimit',
    summary: 'Take a limit away, from the next claim on (administrators)',
  })
  @ApiParam(SCOPE)
  @ApiParam(SUBJECT)
  @ApiNoContentResponse({ description: 'What holds for `*` of the scope holds for it again.' })
  @ApiProblems(400, 401, [403, 'run_limit.forbidden'], [404, 'run_limit.not_found'])
  remove(
    @CurrentActor() actor: Actor,
    @Param('scope', ScopePipe) scope: LimitScope,
    @Param('subject', SubjectPipe) subject: string,
  ): Promise<void> {
    return this.commands.execute(new RemoveRunLimitCommand(actor, scope, subject));
  }
}
