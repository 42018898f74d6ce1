import { Controller, createParamDecorator, HttpCode, Post, type ExecutionContext } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import {
  ApiAcceptedResponse,
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiExtraModels,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { AllowAgentKey, CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PostMessagesCommand } from '../app/post-messages.js';
import { AcpMessageInputDto, PostedMessagesDto } from './agent-messages.dto.js';
import { NDJSON, TakesNdjson } from './ndjson.js';

/** The body as it came: the handler checks each line, and who sends it before that. */
const RawBody = createParamDecorator(
  (_: unknown, context: ExecutionContext): unknown => context.switchToHttp().getRequest<{ body: unknown }>().body,
);

const DESCRIPTION = `For agents that would rather speak HTTP than write to their standard output; with the key in \`api-key\` of the
run directory, while the attempt lives. One message as JSON, or up to 1000 lines of NDJSON, stored in order, all or none: a line
that is no ACP message is a 400 that names it. A \`result\` counts as one on stdout does, and so do the bytes: an attempt whose
output would be more than \`KANDEV_MAX_OUTPUT_BYTES\` is refused more.`;

/** What agents say of themselves. */
@ApiTags('agents')
@ApiBearerAuth()
@Controller('agents')
export class AgentMessagesController {
  constructor(private readonly commands: CommandBus) {}

  @Post(':agentId/messages')
  @HttpCode(202)
  @AllowAgentKey()
  @TakesNdjson()
  @ApiOperation({
    ...{ operationId: 'postAgentMessages', summary: 'Add messages to the stream (the agent itself)' },
    description: DESCRIPTION,
  })
  @ApiConsumes('application/json', NDJSON)
  @ApiExtraModels(AcpMessageInputDto)
  @ApiBody({
    required: true,
    schema: {
      oneOf: [
        { $ref: getSchemaPath(AcpMessageInputDto) },
        { type: 'string', description: `With ${NDJSON}: one message a line.` },
      ],
    },
  })
  @ApiAcceptedResponse({ type: PostedMessagesDto, description: 'Stored.' })
  @ApiProblems(
    ...([400, 401, [403, 'agent.own_key_required']] as const),
    [404, 'agent.not_found'],
    [409, 'agent.ended', 'agent.output_limit'],
    ...[413, 415],
  )
  post(
    @CurrentActor() actor: Actor,
    @IdParam('agentId') agentId: string,
    @RawBody() body: unknown,
  ): Promise<PostedMessagesDto> {
    return this.commands.execute(new PostMessagesCommand(actor, agentId, body));
  }
}
