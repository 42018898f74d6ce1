import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiAcceptedResponse, ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { StopRequest } from '../../../common/http/stop.dto.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { GetOrchestratorStatusQuery, GetQueueQuery, GetRunStatusQuery } from '../app/run.queries.js';
import { StartRunCommand, StopRunCommand } from '../contracts/run.commands.js';
import {
  OrchestratorStatusDto,
  QueueDto,
  QueueQuery,
  RunReceiptDto,
  RunStatusDto,
  StartRunRequest,
  TriggerRequest,
} from './orchestrator.dto.js';

const NOT_STARTABLE = [
  409,
  'run.already_live',
  'run.task_not_startable',
  'run.no_agent_type',
  'agent_type.disabled',
  'agent_type.process_runtime_off',
] as const;
const NOT_FOUND = [404, 'task.not_found', 'agent_type.not_found'] as const;
const UNSUPPORTED = [501, 'agent_type.unsupported_protocol'] as const;

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
  @ApiOperation({ operationId: 'triggerRun', summary: 'Queue a run of a task with its own agent type' })
  @ApiAcceptedResponse({ type: RunReceiptDto, description: 'Queued.' })
  @ApiProblems(400, 401, 403, NOT_FOUND, NOT_STARTABLE, 413, 415, UNSUPPORTED)
  trigger(@CurrentActor() actor: Actor, @Body() { task_id, force }: TriggerRequest): Promise<RunReceiptDto> {
    return this.commands.execute(new StartRunCommand(actor, task_id, { force }));
  }

  @Get('status')
  @ApiOperation({ operationId: 'getOrchestratorStatus', summary: 'How the orchestrator is doing' })
  @ApiOkResponse({ type: OrchestratorStatusDto, description: 'Numbers of this moment.' })
  @ApiProblems(401)
  status(): Promise<OrchestratorStatusDto> {
    return this.queries.execute(new GetOrchestratorStatusQuery());
  }

  @Get('queue')
  @ApiOperation({ operationId: 'getQueue', summary: 'Queued tasks that you may see, in the order they are served' })
  @ApiOkResponse({ type: QueueDto, description: 'A part of the queue.' })
  @ApiProblems(400, 401)
  async queue(@CurrentActor() actor: Actor, @Query() { limit, offset }: QueueQuery): Promise<QueueDto> {
    const { items, total } = await this.queries.execute(new GetQueueQuery(actor, { limit, offset, cursor: null }));
    return { tasks: items, total };
  }

  @Post('tasks/:taskId/start')
  @HttpCode(202)
  @ApiOperation({ operationId: 'startRun', summary: 'Queue a run of a task' })
  @ApiAcceptedResponse({ type: RunReceiptDto, description: 'Queued; follow it on the stream.' })
  @ApiProblems(400, 401, 403, NOT_FOUND, NOT_STARTABLE, 413, 415, UNSUPPORTED)
  start(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Body() body?: StartRunRequest,
  ): Promise<RunReceiptDto> {
    return this.commands.execute(
      new StartRunCommand(actor, taskId, { agent_type: body?.agent_type, priority: body?.priority }),
    );
  }

  @Post('tasks/:taskId/stop')
  @HttpCode(200)
  @ApiOperation({ operationId: 'stopRun', summary: "Stop a task's run" })
  @ApiOkResponse({ type: RunReceiptDto, description: 'Recorded; the run ends within the grace time.' })
  @ApiProblems(400, 401, 403, [404, 'task.not_found'], [409, 'run.none_live'], 413, 415)
  stop(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Body() body?: StopRequest,
  ): Promise<RunReceiptDto> {
    return this.commands.execute(new StopRunCommand(actor, taskId, body?.reason ?? null, body?.force ?? false));
  }

  @Get('tasks/:taskId/status')
  @ApiOperation({ operationId: 'getRunStatus', summary: "How a task's latest run goes" })
  @ApiOkResponse({ type: RunStatusDto, description: 'Nulls where there was no run yet.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  runStatus(@CurrentActor() actor: Actor, @IdParam('taskId') taskId: string): Promise<RunStatusDto> {
    return this.queries.execute(new GetRunStatusQuery(actor, taskId));
  }
}
