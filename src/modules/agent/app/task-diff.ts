import type { Readable } from 'node:stream';
import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { WorkTrees, type Comparison } from '../domain/work-trees.js';
import { PATIENCE_MS, TaskWorkspaces } from './workspace-access.js';

/** What a task's workspace has become since it was checked out. @throws DomainError `task.not_found`, `workspace.not_found` */
export class GetTaskDiffQuery extends Query<Comparison> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    /** Of this file only, by its present or its old path. */
    readonly path: string | null,
  ) {
    super();
  }
}

/** The same as one unified diff. In this process only: what it answers is a stream. */
export class ReadTaskPatchQuery extends Query<Readable> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly path: string | null,
  ) {
    super();
  }
}

@QueryHandler(GetTaskDiffQuery)
export class GetTaskDiffHandler implements IQueryHandler<GetTaskDiffQuery> {
  constructor(
    private readonly queries: QueryBus,
    private readonly workspaces: TaskWorkspaces,
    private readonly trees: WorkTrees,
  ) {}

  async execute({ actor, task_id, path }: GetTaskDiffQuery): Promise<Comparison> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const row = await this.workspaces.row(task_id);
    return this.workspaces.with(row, (tree) => this.trees.compare(tree, path, AbortSignal.timeout(PATIENCE_MS)));
  }
}

@QueryHandler(ReadTaskPatchQuery)
export class ReadTaskPatchHandler implements IQueryHandler<ReadTaskPatchQuery> {
  constructor(
    private readonly queries: QueryBus,
    private readonly workspaces: TaskWorkspaces,
    private readonly trees: WorkTrees,
  ) {}

  /** The files are read when this answers; what is streamed then comes from a repository of ours. */
  async execute({ actor, task_id, path }: ReadTaskPatchQuery): Promise<Readable> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const row = await this.workspaces.row(task_id);
    return this.workspaces.with(row, (tree) => this.trees.patch(tree, path, AbortSignal.timeout(PATIENCE_MS)));
  }
}
