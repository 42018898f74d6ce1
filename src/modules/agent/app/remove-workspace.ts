import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { AgentDB } from './agent-rows.js';
import { HostPlaces } from './host-places.js';
import { WorkspaceRescuer } from './rescue-workspace.js';
import { toRescueView, type RescueView } from './rescue.queries.js';

/**
 * Rescues what is only in a task's workspace, and frees its disk. `rescue` is null where there was nothing to rescue.
 * @throws DomainError `task.not_found`, `board.forbidden`, `workspace.not_found`, `run.live`, `workspace.removing`,
 *   `workspace.rescue_failed`, `workspace.busy`, `host.elsewhere`
 */
export class RemoveWorkspaceCommand extends Command<{ rescue: RescueView | null }> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
  ) {
    super();
  }
}

@CommandHandler(RemoveWorkspaceCommand)
export class RemoveWorkspaceHandler implements ICommandHandler<RemoveWorkspaceCommand> {
  constructor(
    private readonly queries: QueryBus,
    private readonly transactions: Transactions,
    private readonly rescuer: WorkspaceRescuer,
    private readonly hosts: HostPlaces,
  ) {}

  async execute({ actor, task_id }: RemoveWorkspaceCommand): Promise<{ rescue: RescueView | null }> {
    await this.queries.execute(new GetTaskQuery(actor, task_id, 'write'));
    const rows = this.transactions.kysely<AgentDB>().selectFrom('workspaces').select('host_id');
    const there = await rows.where('task_id', '=', task_id).where('state', '<>', 'REMOVED').executeTakeFirst();
    await this.hosts.requireHere(there?.host_id, 'The workspace of this task');
    const id = await this.rescuer.remove(task_id, { reason: 'requested', actor, gives_up: true });
    if (id === null) return { rescue: null };
    const rescues = this.transactions.kysely<AgentDB>().selectFrom('rescues').selectAll();
    return { rescue: toRescueView(await rescues.where('id', '=', id).executeTakeFirstOrThrow()) };
  }
}
