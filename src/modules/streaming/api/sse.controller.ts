import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CredentialsInQuery, CurrentPrincipal } from '../../../common/auth/auth.decorators.js';
import type { Principal } from '../../../common/auth/principal.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { ApiEventStream, GLOBAL_ID, SUBSCRIBED } from './sse-documents.js';
import { GlobalStreamQuery, TaskStreamQuery } from './sse.dto.js';
import { SseStreams } from './sse-streams.js';

const NOT_AUTHENTICATED = [401, 'auth.invalid_ticket'] as const;
const FORBIDDEN = [403, 'origin.forbidden'] as const;
const TOO_MANY = [429, 'stream.too_many_connections'] as const;
const ENDED = [503, 'stream.closed'] as const;

/** Server-Sent Events: what the WebSockets at the same addresses tell, to be read with a plain GET. */
@ApiTags('streams')
@ApiBearerAuth()
@Controller('orchestrator')
export class SseController {
  constructor(private readonly streams: SseStreams) {}

  @Get('tasks/:taskId/stream')
  @CredentialsInQuery()
  @ApiOperation({
    operationId: 'streamTask',
    summary: "The messages of a task's agents as they come, or a replay of a finished run",
    description:
      'Server-Sent Events, for `curl -N` and EventSource. The id of an event is the `seq` of its message: a client that ' +
      'comes back with it misses nothing and gets nothing twice. A replay ends with `event: end`; one that has nothing ' +
      'left for a `Last-Event-ID` is 204, which tells EventSource to stay away. The same address takes a WebSocket.',
  })
  @ApiEventStream('42')
  @ApiResponse({ status: 204, description: 'A replay, and you have all of it.' })
  @ApiProblems(
    ...[400, NOT_AUTHENTICATED, FORBIDDEN, [404, 'task.not_found', 'run.not_found'] as const],
    ...[406, [409, 'run.not_finished'] as const, TOO_MANY, ENDED],
  )
  ofTask(
    @CurrentPrincipal() principal: Principal,
    @IdParam('taskId') taskId: string,
    @Query() query: TaskStreamQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.streams.ofTask({ principal, request, reply }, taskId, query);
  }

  @Get('stream')
  @CredentialsInQuery()
  @ApiOperation({
    operationId: 'streamAll',
    summary: 'The messages of all tasks that you may see, or of some, as they come',
    description:
      'Server-Sent Events. The first event, `subscribed`, tells the tasks and the last `seq` of each. The id of an event ' +
      'holds your place in up to 32 tasks, `<task id>:<seq>,…`: with it you miss nothing of them. Of more, those that ' +
      'spoke last: keep the others yourself, and send them as `after`. The same address takes a WebSocket.',
  })
  @ApiEventStream(GLOBAL_ID, SUBSCRIBED)
  @ApiProblems(
    ...[[400, 'stream.too_many_subscriptions'] as const, NOT_AUTHENTICATED, FORBIDDEN],
    ...[406, TOO_MANY, ENDED],
  )
  ofAll(
    @CurrentPrincipal() principal: Principal,
    @Query() query: GlobalStreamQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.streams.ofAll({ principal, request, reply }, query);
  }
}
