import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { FindLostGrantsQuery, type LostGrant, type ReadGrant } from '../../task/contracts/task.queries.js';
import type { StreamConnection } from './stream-connection.js';
import { StreamConnections } from './stream-connections.js';
import { DELETED, MEMBERSHIP_ENDED } from './stream-ends.js';

const GRANTS_PER_QUERY = 5_000; // keeps a query's parameters below some 400 kB

interface Holding {
  grant: ReadGrant;
  holders: StreamConnection[];
}

/**
 * Compares what the open connections get with what their users may read now. It asks for what they hold, not for what
 * their users may see: so a subscription that began on what was read before a membership ended is found too.
 */
@Injectable()
export class GrantCheck {
  constructor(
    private readonly connections: StreamConnections,
    private readonly queries: QueryBus, // not by way of the readers' gate: a crowd of them must not delay this
  ) {}

  /** Closes those that get what they may not, or that have named what is gone. @throws what the query throws */
  async check(): Promise<void> {
    const holdings = this.holdings();
    const grants = [...holdings.values()].map(({ grant }) => grant);
    for (let i = 0; i < grants.length; i += GRANTS_PER_QUERY) {
      const lost = await this.queries.execute(new FindLostGrantsQuery(grants.slice(i, i + GRANTS_PER_QUERY)));
      for (const grant of lost) end(grant, holdings.get(keyOf(grant))?.holders ?? []);
    }
  }

  private holdings(): Map<string, Holding> {
    const holdings = new Map<string, Holding>();
    for (const connection of this.connections.all) {
      const { tasks, boards, visible } = connection.coverage;
      const user_id = connection.actor.role === 'admin' ? null : connection.actor.user_id;
      const hold = (kind: ReadGrant['kind'], id: string): void => {
        const grant = { user_id, kind, id };
        const holding = holdings.get(keyOf(grant));
        if (holding) holding.holders.push(connection);
        else holdings.set(keyOf(grant), { grant, holders: [connection] });
      };
      for (const id of tasks) hold('task', id);
      for (const id of new Set([...boards, ...visible])) hold('board', id);
    }
    return holdings;
  }
}

/** Still as when it was asked: meanwhile a connection may have let go of what was lost. */
function end({ kind, id, deleted }: LostGrant, holders: StreamConnection[]): void {
  for (const { coverage, reader } of holders) {
    const named = kind === 'task' ? coverage.tasks : coverage.boards;
    // Nothing comes of a board that is gone; those who merely saw it among others need not be bothered.
    if (deleted) {
      if (named.includes(id)) reader.close(DELETED);
    } else if (named.includes(id) || coverage.visible.includes(id)) reader.close(MEMBERSHIP_ENDED);
  }
}

function keyOf({ user_id, kind, id }: ReadGrant): string {
  return `${user_id ?? ''} ${kind} ${id}`;
}
