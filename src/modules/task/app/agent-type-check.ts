import type { QueryBus } from '@nestjs/cqrs';
import { DomainError } from '../../../common/errors/domain-error.js';
import { GetStartableAgentTypeQuery } from '../../agent/contracts/agent.queries.js';

/** What was found of some agent types: null for those that may be started, else why not. */
export type AgentTypeCheck = ReadonlyMap<string, DomainError | null>;

/**
 * Asks which of the agent types may be started. Before a transaction, never within: one that holds a connection while
 * it waits for a second one locks the server up, once as many do so as the pool has connections.
 */
export async function checkAgentTypes(queries: QueryBus, names: Iterable<string>): Promise<AgentTypeCheck> {
  const found = new Map<string, DomainError | null>();
  for (const name of new Set(names)) {
    try {
      await queries.execute(new GetStartableAgentTypeQuery(name));
      found.set(name, null);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      found.set(name, error);
    }
  }
  return found;
}

/**
 * Lets an agent type pass that was found to be startable.
 * @throws DomainError why it is not; `conflict.concurrent_update` when nobody asked, because the task got it meanwhile
 */
export function requireStartable(check: AgentTypeCheck, name: string): void {
  const found = check.get(name);
  if (found === null) return;
  const text = 'The agent type of the task was changed at the same moment. Try again.';
  throw found ?? new DomainError('conflict', 'conflict.concurrent_update', text);
}
