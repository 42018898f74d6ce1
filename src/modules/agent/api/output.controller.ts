import { Controller, Get, Query, Req, Res, type StreamableFile } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiHeader, ApiOkResponse, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { ListArtifactsQuery, OpenArtifactQuery } from '../app/artifact.queries.js';
import { ListLogsQuery } from '../app/log.queries.js';
import { answerWith } from './artifact-answer.js';
import { ArtifactListDto, LogListDto, LogsQuery } from './output.dto.js';

const SHA = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const BINARY = { 'application/octet-stream': { schema: { type: 'string' as const, format: 'binary' } } };
const text = (description: string, example: string) => ({
  description,
  schema: { type: 'string' as const, example },
});
const FILE_HEADERS = {
  ETag: text('The SHA-256 of the whole file.', `"${SHA}"`),
  'Accept-Ranges': text('Parts can be asked for.', 'bytes'),
};
const PART_HEADERS = { ...FILE_HEADERS, 'Content-Range': text('Which part it is.', 'bytes 1000-1999/12458') };

/** What agents have said and produced. */
@ApiTags('output')
@ApiBearerAuth()
@Controller()
export class OutputController {
  constructor(private readonly queries: QueryBus) {}

  @Get('orchestrator/tasks/:taskId/logs')
  @ApiOperation({ operationId: 'listTaskLogs', summary: "Logs of a task's agents, oldest first" })
  @ApiOkResponse({ type: LogListDto, description: 'A part of the logs.' })
  @ApiProblems(400, 401, [404, 'task.not_found'], [503, 'request.too_slow'])
  taskLogs(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() query: LogsQuery,
  ): Promise<LogListDto> {
    return this.logs(actor, { task_id: taskId }, query);
  }

  @Get('agents/:agentId/logs')
  @ApiOperation({ operationId: 'listAgentLogs', summary: 'Logs of one agent instance, oldest first' })
  @ApiOkResponse({ type: LogListDto, description: 'A part of the logs.' })
  @ApiProblems(400, 401, [404, 'agent.not_found'], [503, 'request.too_slow'])
  agentLogs(
    @CurrentActor() actor: Actor,
    @IdParam('agentId') agentId: string,
    @Query() query: LogsQuery,
  ): Promise<LogListDto> {
    return this.logs(actor, { agent_id: agentId }, query);
  }

  @Get('orchestrator/tasks/:taskId/artifacts')
  @ApiOperation({ operationId: 'listArtifacts', summary: "Files that a task's agents have produced, oldest first" })
  @ApiOkResponse({ type: ArtifactListDto, description: 'A part of the list.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
  async artifacts(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @Query() query: PageQuery,
  ): Promise<ArtifactListDto> {
    const { items, ...page } = await this.queries.execute(new ListArtifactsQuery(actor, taskId, pageRequest(query)));
    return { artifacts: items, ...page };
  }

  @Get('orchestrator/tasks/:taskId/artifacts/:artifactId/download')
  @ApiOperation({
    operationId: 'downloadArtifact',
    summary: 'The bytes of one artifact',
    description:
      'With a `Range` of bytes only those, so that a download that was cut off can go on; `If-Range` with the `ETag` of ' +
      'the first part makes sure that it is still the same file. Of several ranges the whole file is sent.',
  })
  @ApiHeader({
    name: 'Range',
    description: 'A part of the file: one range of bytes.',
    required: false,
    schema: { type: 'string', example: 'bytes=1000-' },
  })
  @ApiHeader({
    name: 'If-Range',
    description: 'The part only if the file is still this one, else all of it.',
    required: false,
    schema: { type: 'string', example: `"${SHA}"` },
  })
  @ApiOkResponse({ description: 'The file.', content: BINARY, headers: FILE_HEADERS })
  @ApiResponse({ status: 206, description: 'The part that was asked for.', content: BINARY, headers: PART_HEADERS })
  @ApiProblems(
    400,
    401,
    [404, 'task.not_found', 'artifact.not_found'],
    [416, 'request.range_not_satisfiable'],
    [503, 'host.elsewhere'],
  )
  async download(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @IdParam('artifactId') artifactId: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const file = await this.queries.execute(new OpenArtifactQuery(actor, taskId, artifactId));
    return answerWith(file, request, reply);
  }

  private async logs(
    actor: Actor,
    of: { task_id: string } | { agent_id: string },
    query: LogsQuery,
  ): Promise<LogListDto> {
    const { level, since, until, q, after_seq } = query;
    const filter = { levels: level ?? null, since: since ?? null, until: until ?? null, q: q ?? null, after_seq };
    const { items, ...page } = await this.queries.execute(new ListLogsQuery(actor, of, filter, pageRequest(query)));
    return { logs: items, ...page };
  }
}
