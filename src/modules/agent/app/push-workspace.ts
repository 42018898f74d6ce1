import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { AttemptFailure } from '../domain/outcome.js';
import { PushRefused, WorkTrees } from '../domain/work-trees.js';
import type { AgentDB, WorkspaceRow } from './agent-rows.js';
import { TaskSecrets } from './task-secrets.js';
import { HostPlaces } from './host-places.js';
import { noWorkspace, PATIENCE_MS } from './workspace-access.js';
import { WorkspaceRecords } from './workspace-records.js';

/** What was pushed, and where to. */
export interface PushView {
  repository_url: string;
  branch: string;
  commit: string;
  /** The remote's own words; empty where it had none. */
  message: string;
}

/**
 * Pushes what was committed to a task's branch to the task's repository, with the credentials of the actor.
 * @throws DomainError `task.not_found`, `board.forbidden`, `workspace.not_found`, `workspace.nothing_to_push`,
 *   `push.rejected`, `push.auth_failed`, `push.unreachable`, `push.secret_found`, `push.address_refused`,
 *   `host.elsewhere`
 */
export class PushWorkspaceCommand extends Command<PushView> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    /** Replaces what the remote has, if that is what was pushed last. */
    readonly force: boolean,
  ) {
    super();
  }
}

@CommandHandler(PushWorkspaceCommand)
export class PushWorkspaceHandler implements ICommandHandler<PushWorkspaceCommand> {
  // oxlint-disable-next-line max-params -- who may, what there is, with what, by what, and two records of it
  constructor(
    private readonly queries: QueryBus,
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
    private readonly records: WorkspaceRecords,
    private readonly secrets: TaskSecrets,
    private readonly trees: WorkTrees,
    private readonly hosts: HostPlaces,
  ) {}

  async execute({ actor, task_id, force }: PushWorkspaceCommand): Promise<PushView> {
    await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    const row = await this.records.read(task_id);
    if (!row) throw noWorkspace();
    await this.hosts.requireHere(row.host_id, 'What this task has committed');
    const { of, lease } = pushable(row);
    const { user_id } = actor;
    const secrets = await this.secrets.of(task_id, user_id);
    const by = { user_id, secrets, ...(force ? { lease } : {}) };
    const { message } = await this.trees.push(of, by, AbortSignal.timeout(PATIENCE_MS)).catch((error: unknown) => {
      throw refusalOf(error);
    });
    const { repository_url, branch, commit } = of;
    await this.transactions.run(async (tx) => {
      const change = { pushed_commit: commit, updated_at: new Date() };
      await tx.kysely<AgentDB>().updateTable('workspaces').set(change).where('task_id', '=', task_id).execute();
      const subject = { type: 'task', id: task_id };
      await this.audit.record({ action: 'workspace.pushed', actor, subject, data: { branch, commit, force } }, tx);
    });
    return { repository_url, branch, commit, message };
  }
}

function pushable({ task_id, repository_url, branch, branch_commit, pushed_commit, base_commit }: WorkspaceRow) {
  if (!repository_url) throw nothingToPush('This task has no repository to push to.');
  if (!branch || !branch_commit) throw nothingToPush('Nothing was committed yet. Commit first.');
  if (branch_commit === pushed_commit) throw nothingToPush('What was last committed has been pushed already.');
  const of = { task_id, repository_url, branch, commit: branch_commit, base_commit: base_commit ?? null };
  return { of, lease: pushed_commit ?? null };
}

function nothingToPush(text: string): DomainError {
  return new DomainError('conflict', 'workspace.nothing_to_push', text);
}

function refusalOf(error: unknown): unknown {
  if (error instanceof AttemptFailure) return unreachable(error.message);
  if (error instanceof Error && error.name === 'TimeoutError') return unreachable('it took too long.');
  return error instanceof PushRefused ? refused(error) : error;
}

function unreachable(why: string): DomainError {
  return new DomainError('unavailable', 'push.unreachable', `The remote could not be reached: ${why}`);
}

function refused({ why, message }: PushRefused): DomainError {
  switch (why) {
    case 'rejected':
      return new DomainError('conflict', 'push.rejected', `The remote has refused it: ${message}`);
    case 'auth':
      return new DomainError(
        'conflict',
        'push.auth_failed',
        `The remote does not let you in with your credentials: ${message}`,
      );
    case 'secret':
      return new DomainError('conflict', 'push.secret_found', message);
    case 'refused_address':
      return new DomainError('conflict', 'push.address_refused', message);
    default:
      return unreachable(message);
  }
}
