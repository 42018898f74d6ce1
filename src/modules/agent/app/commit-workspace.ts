import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { Idempotency, type OnceKey } from '../../../common/idempotency/idempotency.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import { FindAuthorQuery } from '../../identity/contracts/user.queries.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { workBranch } from '../domain/work-branch.js';
import { WorkTrees, type Author, type Committed, type LeftOut } from '../domain/work-trees.js';
import type { AgentDB } from './agent-rows.js';
import { TaskLocks } from './task-locks.js';
import { PATIENCE_MS, TaskWorkspaces } from './workspace-access.js';

/** What a commit has come to. */
export interface CommitView {
  /** False: nothing has changed since the last one. */
  committed: boolean;
  branch: string;
  /** The branch's tip; null where nothing was ever committed. */
  commit: string | null;
  left_out: LeftOut[];
}

/**
 * Commits what is in a task's workspace, and the agent's own commits with it, to the task's branch in our repository.
 * @throws DomainError `task.not_found`, `board.forbidden`, `workspace.not_found`, `run.live`, `idempotency.key_reused`,
 *   `workspace.busy`
 */
export class CommitWorkspaceCommand extends Command<CommitView> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    /** The task's title where absent. */
    readonly message: string | null,
    readonly once: OnceKey | null,
  ) {
    super();
  }
}

@CommandHandler(CommitWorkspaceCommand)
export class CommitWorkspaceHandler implements ICommandHandler<CommitWorkspaceCommand> {
  // oxlint-disable-next-line max-params -- who may, what there is, by what, alone, and two records of it
  constructor(
    private readonly queries: QueryBus,
    private readonly idempotency: Idempotency,
    private readonly audit: AuditLog,
    private readonly workspaces: TaskWorkspaces,
    private readonly trees: WorkTrees,
    private readonly locks: TaskLocks,
  ) {}

  /** Git first, then the row: after a kill between them the same files are committed again, and the first is nobody's. */
  async execute(command: CommitWorkspaceCommand): Promise<CommitView> {
    const { actor, task_id, once } = command;
    const task = await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    const before = await this.idempotency.answered<CommitView>(actor, once);
    if (before) return before;
    // Nobody waits for an attempt that is getting ready; what others do with the workspace ends sooner.
    await this.workspaces.requireStill(task_id);
    return this.locks.exclusively(task_id, () => this.commit(command, task.title));
  }

  private async commit(command: CommitWorkspaceCommand, title: string): Promise<CommitView> {
    const { actor, task_id, once } = command;
    const row = await this.workspaces.row(task_id);
    await this.workspaces.requireStill(task_id);
    const branch = row.branch ?? workBranch(task_id, title);
    const message = command.message ?? title;
    const author = await this.author(actor);
    // A paused agent may have gone on while its files were read: then it is not known what they were.
    const confirm = () => this.workspaces.requireStill(task_id);
    const done = await this.workspaces.with(row, (tree) =>
      this.trees.commit(tree, { author, message, branch, confirm }, AbortSignal.timeout(PATIENCE_MS)),
    );
    return this.idempotency.run(actor, once, (tx) => this.record(tx, command, { ...done, branch }));
  }

  private async author({ user_id }: Actor): Promise<Author> {
    const known = user_id === null ? null : await this.queries.execute(new FindAuthorQuery(user_id));
    return known ?? { name: 'Kandev', email: 'kandev@localhost' };
  }

  private async record(tx: Tx, { actor, task_id }: CommitWorkspaceCommand, done: Committed & { branch: string }) {
    const { committed, commit, branch, left_out } = done;
    if (committed) {
      const change = { branch, branch_commit: commit, updated_at: new Date() };
      await tx.kysely<AgentDB>().updateTable('workspaces').set(change).where('task_id', '=', task_id).execute();
      const subject = { type: 'task', id: task_id };
      await this.audit.record({ action: 'workspace.committed', actor, subject, data: { branch, commit } }, tx);
    }
    return { committed, branch, commit, left_out };
  }
}
