import type { StoredMessage } from '../../../common/acp/stored-message.js';
import { Query } from '../../../common/bus/contracts.js';
import type { AgentInstanceView, Protocol, Runtime } from './agent.types.js';

/** The instance of an attempt, or null while there is none. */
export class FindAttemptAgentQuery extends Query<AgentInstanceView | null> {
  constructor(
    readonly run_id: string,
    readonly attempt: number,
  ) {
    super();
  }
}

/** The newest instance of a task, or null. */
export class FindLatestAgentQuery extends Query<AgentInstanceView | null> {
  constructor(readonly task_id: string) {
    super();
  }
}

/**
 * An agent type that may be started.
 * @throws DomainError `agent_type.not_found`, `agent_type.disabled`, `agent_type.unsupported_protocol`,
 *   `agent_type.process_runtime_off`
 */
export class GetStartableAgentTypeQuery extends Query<{ name: string; runtime: Runtime; protocol: Protocol }> {
  constructor(readonly name: string) {
    super();
  }
}

/** A page of a task's stream: messages with `seq` > `after_seq`, in order, at most `limit`. No access check. */
export class ReadMessagesQuery extends Query<StoredMessage[]> {
  constructor(
    readonly task_id: string,
    readonly after_seq: number,
    readonly limit: number,
  ) {
    super();
  }
}

/**
 * Head and first kept `seq` of each task's stream: both 0 where nothing was written yet, `first_seq` above `head_seq`
 * where retention has removed all there was. No access check.
 */
export class GetStreamHeadsQuery extends Query<{ task_id: string; head_seq: number; first_seq: number }[]> {
  constructor(readonly task_ids: string[]) {
    super();
  }
}

/** What the agent of an attempt has last told of its progress; nulls while it has told nothing. */
export class GetProgressQuery extends Query<{ progress: number | null; message: string | null }> {
  constructor(readonly agent_id: string) {
    super();
  }
}

/** The task of an agent instance, for checks of what its own key may read; null when there is no such instance. */
export class GetAgentTaskQuery extends Query<{ task_id: string } | null> {
  constructor(readonly agent_id: string) {
    super();
  }
}

/** Whether the agent's runtime can hold it still; false where there is no such instance. */
export class CanHoldAgentQuery extends Query<boolean> {
  constructor(readonly agent_id: string) {
    super();
  }
}
