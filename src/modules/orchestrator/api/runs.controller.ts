import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiAcceptedResponse, ApiBearerAuth, ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { StopRequest } from '../../../common/http/stop.dto.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { GetRunStatusQuery } from '../app/run-status.query.js';
import { ListRunsQuery } from '../app/run.queries.js';
import { PauseRunCommand, ResumeRunCommand, StartRunCommand, StopRunCommand } from '../contracts/run.commands.js';
import { RunStatusDto } from './run-status.dto.js';
import { RunListDto, RunReceiptDto, StartRunRequest } from './run.dto.js';
import { START_PROBLEMS } from './start-problems.js';

const NOT_FOUND = [404, 'task.not_found'] as const;
const FORBIDDEN = [403, 'board.forbidden'] as const;
const NONE_LIVE = [409, 'run.none_live'] as const;
const NOT_RUNNING = [409, 'run.none_live', 'run.illegal_transition'] as const;
const NO_PAUSE = [501, 'run.pause_unsupported'] as const;

/** The runs of one task. */
@ApiTags('orchestrator')
@ApiBearerAuth()
@Controller('orchestrator/tasks/:taskId')
export class RunsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post('start')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'startRun',
    summary: 'Queue a run of a task',
    description: 'The run waits in the queue until every task that this one depends on is completed.',
  })
  @ApiBody({ type: StartRunRequest, required: false })
  @ApiAcceptedResponse({ type: RunReceiptDto, description: 'Queued; follow it on the stream.' })
  @ApiProblems(...START_PROBLEMS)
  start(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Once() once: OnceKey | null,
    @Body() body?: StartRunRequest,
  ): Promise<RunReceiptDto> {
    const options = { agent_type: body?.agent_type, priority: body?.priority };
    return this.commands.execute(new StartRunCommand(actor, taskId, options, once));
  }

  @Post('stop')
  @HttpCode(200)
  @ApiOperation({ operationId: 'stopRun', summary: "Stop a task's run" })
  @ApiBody({ type: StopRequest, required: false })
  @ApiOkResponse({ type: RunReceiptDto, description: 'Recorded; the run ends within the grace time.' })
  @ApiProblems(400, 401, FORBIDDEN, NOT_FOUND, NONE_LIVE, 413, 415)
  stop(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Body() body?: StopRequest,
  ): Promise<RunReceiptDto> {
    return this.commands.execute(new StopRunCommand(actor, taskId, body?.reason ?? null, body?.force ?? false));
  }

  @Post('pause')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'pauseRun',
    summary: "Pause a task's run, if its agent can be paused",
    description:
      'All processes of the agent are held still and keep their memory; neither its inactivity nor its wall clock ' +
      'runs meanwhile. The task stays in progress. Survives a restart of the server.',
  })
  @ApiOkResponse({ type: RunReceiptDto, description: 'Recorded; a run that is paused already stays so.' })
  @ApiProblems(400, 401, FORBIDDEN, NOT_FOUND, NOT_RUNNING, 413, 415, NO_PAUSE)
  pause(@CurrentActor() actor: Actor, @IdParam('taskId') taskId: string): Promise<RunReceiptDto> {
    return this.commands.execute(new PauseRunCommand(actor, taskId));
  }

  @Post('resume')
  @HttpCode(200)
  @ApiOperation({ operationId: 'resumeRun', summary: "Let a task's paused run go on" })
  @ApiOkResponse({ type: RunReceiptDto, description: 'Recorded; a run that is not paused stays as it is.' })
  @ApiProblems(400, 401, FORBIDDEN, NOT_FOUND, NOT_RUNNING, 413, 415, NO_PAUSE)
  resume(@CurrentActor() actor: Actor, @IdParam('taskId') taskId: string): Promise<RunReceiptDto> {
    return this.commands.execute(new ResumeRunCommand(actor, taskId));
  }

  @Get('status')
  @ApiOperation({ operationId: 'getRunStatus', summary: "How a task's latest run goes, and what it waits for" })
  @ApiOkResponse({ type: RunStatusDto, description: 'Nulls where there was no run yet.' })
  @ApiProblems(400, 401, NOT_FOUND, [503, 'request.too_slow'])
  status(@CurrentActor() actor: Actor, @IdParam('taskId') taskId: string): Promise<RunStatusDto> {
    return this.queries.execute(new GetRunStatusQuery(actor, taskId));
  }

  @Get('runs')
  @ApiOperation({ operationId: 'listTaskRuns', summary: 'All runs of a task, newest first' })
  @ApiOkResponse({ type: RunListDto, description: 'A page of the runs.' })
  @ApiProblems(400, 401, NOT_FOUND)
  async runs(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() page: PageQuery,
  ): Promise<RunListDto> {
    const { items, ...rest } = await this.queries.execute(new ListRunsQuery(actor, taskId, pageRequest(page)));
    return { runs: items, ...rest };
  }
}
