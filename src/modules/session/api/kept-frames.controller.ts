import { Controller, Get, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { ListKeptFramesQuery } from '../app/kept-frames.queries.js';
import { FrameListDto, ListFramesRequest } from './kept-frames.dto.js';

/** What agents and the server have said to each other, for those who look for a mistake. */
@ApiTags('sessions')
@ApiBearerAuth()
@Controller('agents/:agentId/frames')
export class KeptFramesController {
  constructor(private readonly queries: QueryBus) {}

  @Get()
  @ApiOperation({
    operationId: 'listAgentFrames',
    summary: 'What was said to and by an agent over the Agent Client Protocol, line by line (administrators)',
    description:
      'Only what was said while `keep_frames` of the session settings of its agent type was true; for 7 days. Ask again ' +
      'with the `id` of the last one as `after`, until none comes.',
  })
  @ApiOkResponse({ type: FrameListDto, description: 'The next of them.' })
  @ApiProblems(400, 401, [403, 'agent.forbidden'], [404, 'agent.not_found'])
  list(
    @CurrentActor() actor: Actor,
    @IdParam('agentId') agentId: string,
    @Query() { after, limit }: ListFramesRequest,
  ): Promise<FrameListDto> {
    return this.queries.execute(new ListKeptFramesQuery(actor, agentId, after, limit));
  }
}
