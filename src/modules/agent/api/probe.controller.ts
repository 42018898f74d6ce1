import { Controller, HttpCode, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { ProbeAgentTypeCommand } from '../app/probe-agent-type.js';
import { ProbeReportDto } from './probe.dto.js';

/** Whether an agent type's image keeps the container contract. */
@ApiTags('agent types')
@ApiBearerAuth()
@Controller('agent-types')
export class ProbeController {
  constructor(private readonly commands: CommandBus) {}

  @Post(':typeId/probe')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'probeAgentType',
    summary: 'Run an agent type’s image against the container contract (administrators)',
    description:
      'Runs it twice, confined as every agent is, with an empty workspace and without a network or secrets: once to ' +
      'its end, once to stop it. Of an agent that speaks the Agent Client Protocol `session` has what it says of itself: it ' +
      'is asked for a session, and in the second run to load it, but sent no prompt. The answer comes when that is done, ' +
      'within two and a half minutes once the image is on the host.',
  })
  @ApiOkResponse({ type: ProbeReportDto, description: 'What holds and what does not.' })
  @ApiProblems(
    ...([400, 401, [403, 'agent_type.forbidden']] as const),
    [404, 'agent_type.not_found'],
    [409, 'agent_type.probe_running'],
    [501, 'agent_type.probe_unsupported'],
    [503, 'engine.unavailable'],
  )
  probe(@CurrentActor() actor: Actor, @IdParam('typeId') typeId: string): Promise<ProbeReportDto> {
    return this.commands.execute(new ProbeAgentTypeCommand(actor, typeId));
  }
}
