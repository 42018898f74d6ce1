import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { SendAgentInputCommand } from '../contracts/agent-input.js';
import { AgentInputRequest, InputReceiptDto } from './input.dto.js';

/** What people tell an agent that runs. */
@ApiTags('orchestrator')
@ApiBearerAuth()
@Controller('orchestrator/tasks/:taskId/input')
export class InputController {
  constructor(private readonly commands: CommandBus) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'sendInput',
    summary: "Tell a task's running agent something (editors)",
    description:
      'The agent reads it as one line of JSON on its standard input. What is sent is kept nowhere; a `status` message ' +
      'in the stream tells who has sent an input, and how large it was.',
  })
  @ApiOkResponse({ type: InputReceiptDto, description: 'It lies in the pipe that the agent reads from.' })
  @ApiProblems(
    400,
    401,
    [403, 'board.forbidden'],
    [404, 'task.not_found'],
    [409, 'run.not_running', 'agent.input_refused'],
    [413, 'agent.input_too_large'],
    415,
    [503, 'agent.elsewhere', 'host.elsewhere'],
  )
  send(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Body() { data }: AgentInputRequest,
  ): Promise<InputReceiptDto> {
    return this.commands.execute(new SendAgentInputCommand(actor, taskId, data));
  }
}
