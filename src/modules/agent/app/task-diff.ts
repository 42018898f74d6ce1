import type { Readable } from 'node:stream';
import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { Redactor } from '../domain/redaction.js';
import { WorkTrees, type Comparison, type WorkTree } from '../domain/work-trees.js';
import { redactedComparison, redactedStream } from './redacted-diff.js';
import { TaskSecrets } from './task-secrets.js';
import { PATIENCE_MS, TaskWorkspaces } from './workspace-access.js';

/** What a task's workspace has become since it was checked out. @throws DomainError `task.not_found`, `workspace.not_found`, `workspace.busy` */
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
    private readonly secrets: TaskSecrets,
  ) {}

  async execute({ actor, task_id, path }: GetTaskDiffQuery): Promise<Comparison> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const row = await this.workspaces.row(task_id);
    const redactor = Redactor.of(await this.secrets.of(task_id));
    const compare = (tree: WorkTree) => this.trees.compare(tree, path, AbortSignal.timeout(PATIENCE_MS));
    return redactedComparison(await this.workspaces.with(row, compare), redactor);
  }
}

@QueryHandler(ReadTaskPatchQuery)
export class ReadTaskPatchHandler implements IQueryHandler<ReadTaskPatchQuery> {
  constructor(
    private readonly queries: QueryBus,
    private readonly workspaces: TaskWorkspaces,
    private readonly trees: WorkTrees,
    private readonly secrets: TaskSecrets,
  ) {}

  /** The files are read when this answers; what is streamed then comes from a repository of ours. */
  async execute({ actor, task_id, path }: ReadTaskPatchQuery): Promise<Readable> {
    await this.queries.execute(new GetTaskQuery(actor, task_id));
    const row = await this.workspaces.row(task_id);
    const redactor = Redactor.of(await this.secrets.of(task_id));
    const patch = (tree: WorkTree) => this.trees.patch(tree, path, AbortSignal.timeout(PATIENCE_MS));
    return redactedStream(await this.workspaces.with(row, patch), redactor);
  }
}
