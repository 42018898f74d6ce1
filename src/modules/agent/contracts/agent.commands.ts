import { Command } from '../../../common/bus/contracts.js';
import type { AgentInstanceView } from './agent.types.js';

/** What an attempt needs to know of its task. */
export interface AttemptTask {
  id: string;
  board_id: string;
  title: string;
  description: string;
  repository_url: string | null;
  branch: string | null;
  /** Seconds; its agent type's where null. */
  inactivity_timeout_seconds: number | null;
  wall_clock_timeout_seconds: number | null;
}

/**
 * Brings the agent of one attempt to life, or takes over what is left of it: workspace, run directory, container.
 * Idempotent: called again, with a higher epoch after a restart, it goes on wherever things stand. Resolves when
 * the instance's row is there; the rest goes on in the background and is told by `agent.*` events.
 * @throws DomainError `agent_type.not_found`; `run.fenced` when a higher epoch has taken the attempt over;
 *   `agent.left_behind` while an earlier agent of its task is not known to be gone: ask again later
 */
export class LaunchAgentCommand extends Command<AgentInstanceView> {
  // oxlint-disable-next-line max-params -- the claim, what is to run, and who wants it: nobody calls it but the driver
  constructor(
    readonly run_id: string,
    readonly attempt: number,
    readonly epoch: number,
    readonly agent_type: string,
    readonly task: AttemptTask,
    /** The user who asked for the run, for the audit log; null where nobody knows. */
    readonly requested_by: string | null = null,
  ) {
    super();
  }
}

/**
 * Asks an instance to end: a control message and SIGTERM, SIGKILL after the grace time or at once with `force`.
 * Recorded before anything is sent, so it survives a restart. A finished instance is left as it is.
 */
export class StopAgentCommand extends Command<AgentInstanceView> {
  constructor(
    readonly agent_id: string,
    readonly reason: string | null,
    readonly force: boolean,
  ) {
    super();
  }
}

/**
 * Holds an agent still, or lets it go on, as the run's state says. Idempotent; an agent that has ended stays so.
 * @throws DomainError `agent.not_found`, `run.pause_unsupported`
 */
export class HoldAgentCommand extends Command<AgentInstanceView> {
  constructor(
    readonly agent_id: string,
    readonly held: boolean,
  ) {
    super();
  }
}

/**
 * Holds still, without a word to the database, which can't be reached, the agents that this process looks after, but for
 * those of the runs in `spared_run_ids`. The ids of the runs whose agents it has stopped in their work just now; those
 * that stand already are left so. `HoldAgentCommand` lets them go on, or their attempt ends as lost.
 */
export class FreezeAgentsCommand extends Command<string[]> {
  constructor(readonly spared_run_ids: readonly string[]) {
    super();
  }
}

/**
 * Tells those who watch the task that the attempt of this instance is tried again, and when; once, however often it is
 * asked. Nothing where there is no such instance any more.
 */
export class AnnounceRetryCommand extends Command<void> {
  constructor(
    readonly agent_id: string,
    readonly next_attempt: number,
    /** RFC 3339. */
    readonly retry_at: string,
    /** Why, and why not at once; for people. */
    readonly reason: string,
  ) {
    super();
  }
}

/** Lets go of an attempt that another server has taken over: nothing is stopped, nothing more is written. */
export class ReleaseAgentCommand extends Command<void> {
  constructor(readonly run_id: string) {
    super();
  }
}

/**
 * Ends an attempt as LOST whose host is dead: its agent can't be asked. The row's epoch is raised to `epoch`, so that
 * whatever that host still writes is refused; where the host is back it removes what it has of the agent. Of an attempt
 * that has ended, or was taken over with a higher epoch: nothing. Null: there is none, and none can be launched.
 */
export class DeclareAgentLostCommand extends Command<AgentInstanceView | null> {
  constructor(
    readonly attempt: {
      run_id: string;
      attempt: number;
      task_id: string;
      board_id: string;
      agent_type: string;
      host_id: string;
    },
    readonly epoch: number,
    readonly message: string,
  ) {
    super();
  }
}
