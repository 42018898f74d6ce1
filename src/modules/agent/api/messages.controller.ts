import { Controller, Get, Query, Req, type StreamableFile } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { DownloadMessagesQuery } from '../app/download-messages.js';
import { DownloadQuery } from './messages.dto.js';
import { NDJSON } from './ndjson.js';
import { ndjsonAnswer } from './ndjson-answer.js';

const EXAMPLE =
  '{"type":"progress","timestamp":"2026-01-09T10:30:15.000Z","agent_id":"019ac1a5-7c1e-7000-8000-000000000003",' +
  '"task_id":"019ac1a5-7c1e-7000-8000-000000000004","run_id":"019ac1a5-7c1e-7000-8000-000000000005","seq":42,' +
  '"data":{"progress":45,"message":"Running the tests"}}\n';

/** The stream of a task as a file. */
@ApiTags('output')
@ApiBearerAuth()
@Controller()
export class MessagesController {
  constructor(private readonly queries: QueryBus) {}

  @Get('tasks/:taskId/messages.ndjson')
  @ApiOperation({
    operationId: 'downloadMessages',
    summary: 'All messages of a task as NDJSON',
    description:
      'One message a line, in the order of `seq`, as far as the stream goes at this moment and as it is kept. A download ' +
      'that breaks off before its end is not whole; it goes on with `after_seq`, the last `seq` that arrived. One user ' +
      'may have four under way at once.',
  })
  @ApiOkResponse({
    description: 'The messages.',
    content: { [NDJSON]: { schema: { type: 'string', format: 'binary' }, example: EXAMPLE } },
    headers: {
      'Content-Disposition': {
        description: 'To be saved under this name.',
        schema: {
          type: 'string',
          example: 'attachment; filename="messages-019ac1a5-7c1e-7000-8000-000000000004.ndjson"',
        },
      },
    },
  })
  @ApiProblems(400, 401, [404, 'task.not_found', 'run.not_found'], [429, 'download.too_many'])
  async download(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() query: DownloadQuery,
    @Req() request: FastifyRequest,
  ): Promise<StreamableFile> {
    // Of a HEAD nothing is sent: a position beyond all others reads nothing, and is refused as a GET would be.
    const after_seq = request.method === 'HEAD' ? Number.MAX_SAFE_INTEGER : query.after_seq;
    const { run_id, types, min_level } = query;
    const wish = { run_id: run_id ?? null, types: types ?? null, min_level: min_level ?? null, after_seq };
    const { pieces, release } = await this.queries.execute(new DownloadMessagesQuery(actor, taskId, wish));
    return ndjsonAnswer(pieces, `messages-${run_id ?? taskId}.ndjson`, release);
  }
}
