import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiAcceptedResponse, ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { BodyLimit } from '../../../common/http/body-limit.js';
import type { OnceKey } from '../../../common/idempotency/idempotency.js';
import { Once } from '../../../common/idempotency/once.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { AddPromptCommand } from '../app/add-prompt.js';
import { ListPromptsQuery } from '../app/prompt.queries.js';
import { MAX_PROMPT_BODY_BYTES, toAttachments } from './attachments.js';
import { CreatePromptRequest, ListPromptsRequest, PromptDto, PromptListDto } from './prompts.dto.js';

/** What agents that speak the Agent Client Protocol are asked to do. */
@ApiTags('sessions')
@ApiBearerAuth()
@Controller('orchestrator/tasks/:taskId/prompts')
export class PromptsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @HttpCode(202)
  @BodyLimit(MAX_PROMPT_BODY_BYTES)
  @ApiOperation({
    operationId: 'createPrompt',
    summary: "Tell a task's agent what to do next (editors)",
    description:
      'It is sent when the present turn is over, or with `interrupt` as soon as that is cancelled. Where no agent works ' +
      'on the task a run is started, whatever state the task is in, and goes on with the session of the one before. ' +
      'The body may have 8 MiB.',
  })
  @ApiAcceptedResponse({ type: PromptDto, description: 'Waits for the agent; follow it on the stream.' })
  @ApiProblems(
    400,
    [401, 'auth.user_gone'],
    [403, 'board.forbidden'],
    [404, 'task.not_found', 'agent_type.not_found'],
    [409, 'prompt.not_understood', 'prompt.too_many', 'idempotency.key_reused'],
    [409, 'task.archived', 'run.task_not_startable', 'run.no_agent_type', 'board.wip_limit'],
    [409, 'agent_type.disabled', 'agent_type.process_runtime_off'],
    413,
    415,
  )
  create(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Body() { text, attachments = [], interrupt = false }: CreatePromptRequest,
    @Once() once: OnceKey | null,
  ): Promise<PromptDto> {
    const prompt = { text, attachments: toAttachments(attachments), interrupt };
    return this.commands.execute(new AddPromptCommand(actor, taskId, prompt, once));
  }

  @Get()
  @ApiOperation({ operationId: 'listPrompts', summary: 'The prompts of a task, oldest first, with how they went' })
  @ApiOkResponse({ type: PromptListDto, description: 'A page of them.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  list(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() { limit, offset }: ListPromptsRequest,
  ): Promise<PromptListDto> {
    return this.queries.execute(new ListPromptsQuery(actor, taskId, { limit, offset }));
  }
}
