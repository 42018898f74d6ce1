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
 * Queues a run of the task. While the task depends on others that are not completed the run waits in the queue, and
 * nothing overrides that, `force` neither: what the task builds on is not there yet.
 * @throws DomainError `task.not_found`, `board.forbidden`, `task.archived`, `run.already_live`,
 *   `run.task_not_startable`, `run.no_agent_type`, `agent_type.not_found`, `agent_type.disabled`,
 *   `agent_type.process_runtime_off`, `idempotency.key_reused`, `auth.user_gone`
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
      /** Start even a finished or blocked task; of the highest priority, where none is given. */
      force?: boolean;
    } = {},
    /** The `Idempotency-Key` of the request, and the hash of what it asks for: the same key gives the same receipt. */
    readonly once: { key: string; fingerprint: string } | null = null,
  ) {
    super();
  }
}

/**
 * Holds the agent of the task's running run still, all its processes; its clocks stand. Paused already: the same
 * answer. Resolves when the wish is recorded; the reconcile loop sees to it where it could not be done at once.
 * @throws DomainError `task.not_found`, `board.forbidden`, `run.none_live`, `run.illegal_transition`,
 *   `run.pause_unsupported`
 */
export class PauseRunCommand extends Command<RunReceipt> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
  ) {
    super();
  }
}

/**
 * Lets a paused agent go on where it stood. One that is not paused: the same answer.
 * @throws DomainError `task.not_found`, `board.forbidden`, `run.none_live`, `run.illegal_transition`,
 *   `run.pause_unsupported`
 */
export class ResumeRunCommand extends Command<RunReceipt> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
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
    /** The run that is meant; null for whichever is live. */
    readonly run_id: string | null = null,
  ) {
    super();
  }
}
