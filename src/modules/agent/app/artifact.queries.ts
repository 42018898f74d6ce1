import { Inject } from '@nestjs/common';
import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodePosition } from '../../../common/validation/cursor.js';
import { newestFirst, type Page, type PageRequest } from '../../../common/validation/page.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { AgentDB } from './agent-rows.js';
import { artifactPath } from './artifact-collector.js';

/** An artifact as clients see it. */
export interface ArtifactView {
  id: string;
  name: string;
  type: string;
  path: string;
  size: number;
  sha256: string;
  agent_instance_id: string;
  created_at: string;
  download_url: string;
}

/** Artifacts of a task, oldest first. @throws DomainError `task.not_found`, `request.invalid` for a wrong cursor */
export class ListArtifactsQuery extends Query<Page<ArtifactView>> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListArtifactsQuery)
export class ListArtifactsHandler implements IQueryHandler<ListArtifactsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, task_id, page }: ListArtifactsQuery): Promise<Page<ArtifactView>> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const artifacts = this.transactions.kysely<AgentDB>().selectFrom('artifacts').where('task_id', '=', task_id);
    const { total } = await artifacts.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    let part = artifacts
      .select(['id', 'name', 'type', 'path', 'size', 'sha256', 'agent_instance_id', 'created_at'])
      .orderBy('created_at')
      .orderBy('id');
    if (page.cursor !== null) {
      const { created_at, id } = decodePosition(page.cursor);
      part = part.where(sql<boolean>`(created_at, id) > (${created_at}::timestamptz, ${id}::uuid)`);
    }
    const rows = await part
      .limit(page.limit + 1)
      .offset(page.offset)
      .execute();
    const views = rows.map((row): ArtifactView => ({
      ...row,
      created_at: toTimestamp(row.created_at),
      download_url: `/api/v1/orchestrator/tasks/${task_id}/artifacts/${row.id}/download`,
    }));
    return newestFirst(views, page, total);
  }
}

/**
 * Where the bytes of an artifact are (a path of this host, for the controller alone), and its name.
 * @throws DomainError `task.not_found`, `artifact.not_found`
 */
export class FindArtifactFileQuery extends Query<{ path: string; name: string; size: number }> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly artifact_id: string,
  ) {
    super();
  }
}

@QueryHandler(FindArtifactFileQuery)
export class FindArtifactFileHandler implements IQueryHandler<FindArtifactFileQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute(query: FindArtifactFileQuery): Promise<{ path: string; name: string; size: number }> {
    const { actor, task_id, artifact_id } = query;
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('artifacts')
      .select(['id', 'name', 'size'])
      .where('id', '=', artifact_id)
      .where('task_id', '=', task_id)
      .executeTakeFirst();
    if (!row) throw notFound('artifact');
    return { path: artifactPath(this.config, task_id, row.id), name: row.name, size: row.size };
  }
}
