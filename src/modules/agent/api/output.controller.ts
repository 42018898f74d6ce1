import { createReadStream } from 'node:fs';
import { Controller, Get, Query, StreamableFile } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Actor } from '../../../common/auth/actor.js';
import { CurrentActor } from '../../../common/auth/auth.decorators.js';
import { ApiProblems } from '../../../common/http/api-problems.decorator.js';
import { IdParam } from '../../../common/validation/id.decorator.js';
import { PageQuery, pageRequest } from '../../../common/validation/page.dto.js';
import { FindArtifactFileQuery, ListArtifactsQuery } from '../app/artifact.queries.js';
import { ListLogsQuery } from '../app/log.queries.js';
import { attachment } from './attachment.js';
import { ArtifactListDto, LogListDto, LogsQuery } from './output.dto.js';

/** What agents have said and produced. */
@ApiTags('output')
@ApiBearerAuth()
@Controller()
export class OutputController {
  constructor(private readonly queries: QueryBus) {}

  @Get('orchestrator/tasks/:taskId/logs')
  @ApiOperation({ operationId: 'listTaskLogs', summary: "Logs of a task's agents, oldest first" })
  @ApiOkResponse({ type: LogListDto, description: 'A part of the logs.' })
  @ApiProblems(400, 401, [404, 'task.not_found'])
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
  @ApiProblems(400, 401, [404, 'agent.not_found'])
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
  @ApiOperation({ operationId: 'downloadArtifact', summary: 'The bytes of one artifact' })
  @ApiOkResponse({
    description: 'The file.',
    content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
  })
  @ApiProblems(400, 401, [404, 'task.not_found', 'artifact.not_found'])
  async download(
    @CurrentActor() actor: Actor,
    @IdParam('taskId') taskId: string,
    @IdParam('artifactId') artifactId: string,
  ): Promise<StreamableFile> {
    const { path, name, size } = await this.queries.execute(new FindArtifactFileQuery(actor, taskId, artifactId));
    return new StreamableFile(createReadStream(path), {
      type: 'application/octet-stream',
      disposition: attachment(name),
      length: size,
    });
  }

  private async logs(
    actor: Actor,
    of: { task_id: string } | { agent_id: string },
    query: LogsQuery,
  ): Promise<LogListDto> {
    const filter = { levels: query.level ?? null, since: query.since ?? null };
    const { items, ...page } = await this.queries.execute(new ListLogsQuery(actor, of, filter, pageRequest(query)));
    return { logs: items, ...page };
  }
}
