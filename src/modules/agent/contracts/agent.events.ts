import type { StoredMessage } from '../../../common/acp/stored-message.js';
import { DomainEvent } from '../../../common/bus/contracts.js';
import type { AgentStatus } from './agent.types.js';

export interface AgentEventData {
  task_id: string;
  run_id: string;
  status: AgentStatus;
}

/** The agent's container or process runs. */
export class AgentStartedEvent extends DomainEvent<AgentEventData> {
  static readonly topic = 'agent.started';
  readonly topic = AgentStartedEvent.topic;
}

/** The agent has done its work. */
export class AgentCompletedEvent extends DomainEvent<AgentEventData> {
  static readonly topic = 'agent.completed';
  readonly topic = AgentCompletedEvent.topic;
}

/** The attempt ended otherwise: failed, stopped or lost. */
export class AgentFailedEvent extends DomainEvent<AgentEventData & { failure_code: string | null }> {
  static readonly topic = 'agent.failed';
  readonly topic = AgentFailedEvent.topic;
}

/**
 * Messages were committed: a hint for whoever streams, published on the in-process event bus after the commit and
 * never through the outbox. `messages` are consecutive, in order; who has missed one reads the rows.
 */
export class MessagesAppendedEvent {
  static readonly topic = 'acp.message';

  constructor(
    readonly task_id: string,
    /** Where they come from: one agent instance. */
    readonly agent_id: string,
    readonly messages: readonly StoredMessage[],
  ) {}
}
