import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import type { RunState } from './run.types.js';

/** What a caller learns of a run it has started or stopped. */
export interface RunReceipt {
  run_id: string;
  task_id: string;
  state: RunState;
  /** The instance of the current attempt; null while the run is queued. */
  agent_instance_id: string | null;
}

/**
 * Queues a run of the task.
 * @throws DomainError `task.not_found`, `board.forbidden`, `run.already_live`, `run.task_not_startable`,
 *   `run.no_agent_type`, `agent_type.not_found`, `agent_type.disabled`, `agent_type.unsupported_protocol`
 */
export class StartRunCommand extends Command<RunReceipt> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly options: {
      /** The task's own agent type when absent. */
      agent_type?: string;
      /** 0 to 10; the task's own when absent. */
      priority?: number;
      /** Start even a finished or blocked task, ahead of its priority. */
      force?: boolean;
    } = {},
  ) {
    super();
  }
}

/**
 * Stops the live run of the task; resolves when the request is recorded. Asking again changes nothing, but `force`
 * is taken up.
 * @throws DomainError `task.not_found`, `board.forbidden`, `run.none_live`
 */
export class StopRunCommand extends Command<RunReceipt> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly reason: string | null,
    readonly force: boolean,
  ) {
    super();
  }
}
