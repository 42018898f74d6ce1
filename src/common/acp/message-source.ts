import type { MessageType } from './acp-message.js';

/** `data.source`, and of a log line `data.metadata.source`, of what the server says itself. */
export const SERVER_SOURCE = 'server';
/** `data.source` of a `status` that an agent has sent, and of whatever of an agent's claims to be the server's. */
export const AGENT_SOURCE = 'agent';

/**
 * The data of a message of an agent, so that nobody takes it for the server's: a `status` says that it is the agent's,
 * and nothing of an agent's says that it is the server's. Changes `data` itself.
 */
export function markAsAgents(type: MessageType, data: Record<string, unknown>): void {
  if (type === 'status' || data['source'] === SERVER_SOURCE) data['source'] = AGENT_SOURCE;
  const { metadata } = data;
  if (typeof metadata !== 'object' || metadata === null) return;
  const about = metadata as Record<string, unknown>;
  if (about['source'] === SERVER_SOURCE) about['source'] = AGENT_SOURCE;
}
