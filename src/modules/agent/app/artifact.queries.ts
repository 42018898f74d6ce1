import { open, type FileHandle } from 'node:fs/promises';
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
import { HostPlaces } from './host-places.js';
import { artifactFile, oldArtifactFile } from './artifact-paths.js';

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

/** An artifact's bytes, opened: what is read is this version, whatever replaces it meanwhile. To be closed. */
export interface ArtifactFile {
  handle: FileHandle;
  name: string;
  /** Bytes. */
  size: number;
  /** Hex. */
  sha256: string;
}

/** Opens the bytes of an artifact. @throws DomainError `task.not_found`, `artifact.not_found` */
export class OpenArtifactQuery extends Query<ArtifactFile> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly artifact_id: string,
  ) {
    super();
  }
}

@QueryHandler(OpenArtifactQuery)
export class OpenArtifactHandler implements IQueryHandler<OpenArtifactQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly hosts: HostPlaces,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ actor, task_id, artifact_id }: OpenArtifactQuery): Promise<ArtifactFile> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    for (let tries = 0; tries < 2; tries++) {
      const row = await this.find(task_id, artifact_id);
      const paths = [
        artifactFile(this.config, task_id, row.id, row.sha256),
        oldArtifactFile(this.config, task_id, row.id),
      ];
      for (const path of paths) {
        const handle = await open(path).catch(() => undefined);
        if (handle) return { handle, name: row.name, size: row.size, sha256: row.sha256 };
      }
      await this.hosts.requireHere(row.host_id, 'This artifact');
      // Replaced between the look at the row and the look at the file: the row names another file now.
    }
    throw notFound('artifact');
  }

  private async find(task_id: string, id: string) {
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('artifacts')
      .innerJoin('agent_instances as agent', 'agent.id', 'artifacts.agent_instance_id')
      .select(['artifacts.id', 'name', 'size', 'sha256', 'agent.host_id'])
      .where('artifacts.id', '=', id)
      .where('artifacts.task_id', '=', task_id)
      .executeTakeFirst();
    if (!row) throw notFound('artifact');
    return row;
  }
}
