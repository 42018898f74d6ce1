import type { LogLevel, MessageType } from '../../../common/acp/acp-message.js';
import type { StoredMessage } from '../../../common/acp/stored-message.js';
import type { RetryPolicy } from '../../../common/retries/retry-policy.js';
import { Query } from '../../../common/bus/contracts.js';
import type { AgentInstanceView, AgentStatus, Protocol, Runtime } from './agent.types.js';

/** The instance of an attempt, or null while there is none. */
export class FindAttemptAgentQuery extends Query<AgentInstanceView | null> {
  constructor(
    readonly run_id: string,
    readonly attempt: number,
  ) {
    super();
  }
}

/** An attempt, and the claim under which it is looked after. */
export interface ClaimedAttempt {
  run_id: string;
  attempt: number;
  epoch: number;
}

/** Of these attempts, those whose agent runs or is paused, and is looked after by this process under that claim. */
export class FindAttendedAttemptsQuery extends Query<{ run_id: string; status: AgentStatus }[]> {
  constructor(readonly attempts: readonly ClaimedAttempt[]) {
    super();
  }
}

/** The newest instance of a task, or null. */
export class FindLatestAgentQuery extends Query<AgentInstanceView | null> {
  constructor(readonly task_id: string) {
    super();
  }
}

/** What is to be known of an agent type before a run of it is queued. */
export interface StartableAgentType {
  name: string;
  runtime: Runtime;
  protocol: Protocol;
  /** When its failed attempts are tried again; null leaves it to the server's settings. */
  retry_policy: RetryPolicy | null;
  needs: AgentNeeds;
}

/**
 * An agent type that may be started.
 * @throws DomainError `agent_type.not_found`, `agent_type.disabled`, `agent_type.process_runtime_off`
 */
export class GetStartableAgentTypeQuery extends Query<StartableAgentType> {
  constructor(readonly name: string) {
    super();
  }
}

/** What each agent of a type takes of its host, by its limits; 0 where it has none. */
export interface AgentNeeds {
  agent_type: string;
  memory_bytes: number;
  cpus: number;
  /** What the host has to have, all of it. */
  host_labels: string[];
}

/** What agents of each type take of their host. No access check. */
export class ListAgentNeedsQuery extends Query<AgentNeeds[]> {}

/** Which messages of a stream are wanted; null is all. A message without a level passes `min_level`. */
export interface MessageFilter {
  types: readonly MessageType[] | null;
  min_level: LogLevel | null;
}

/** A part of a stream. */
export interface MessagePage {
  messages: StoredMessage[];
  /** How far was looked: what lies in between is in `messages` or was filtered out. `after_seq` where nothing is there. */
  through_seq: number;
}

/**
 * A page of a task's stream: messages with `seq` > `after_seq`, in order, at most `limit`. With a filter only what
 * passes; a page may then be empty although more follows, as no more than some 20,000 messages are looked at for one:
 * the next page goes on after `through_seq`. No access check.
 */
export class ReadMessagesQuery extends Query<MessagePage> {
  constructor(
    readonly task_id: string,
    readonly after_seq: number,
    readonly limit: number,
    readonly filter: MessageFilter | null = null,
  ) {
    super();
  }
}

/** A message with the time at which it was stored, in ms since 1970. */
export interface TimedMessage extends StoredMessage {
  stored_at_ms: number;
}

/** A part of one run's messages. */
export interface ReplayPage {
  messages: TimedMessage[];
  /** The last `seq` of the run that is kept; 0 where none is. */
  last_seq: number;
  /** The first `seq` of the task that is kept: retention has removed what came before. */
  kept_from: number;
}

/** A page of one run's messages: those with `seq` > `after_seq`, in order, at most `limit`. No access check. */
export class ReadReplayQuery extends Query<ReplayPage> {
  constructor(
    readonly run_id: string,
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

/** How an attempt goes, by what its agent has told. */
export interface AgentProgress {
  /** Percent, 0 to 100, as it was last told; null while it was not. */
  progress: number | null;
  /** What it was last at; null while it has not told. */
  operation: string | null;
  /**
   * Since it first told of its progress, or began anew with less: percent gained, negative if it fell, and ms without
   * pauses. Null while it has not told, and while it is paused.
   */
  since_first: { gained: number; elapsed_ms: number } | null;
  /** How long it was paused in all, in ms, but for the present pause. */
  paused_ms: number;
}

/** What the agent of an attempt has told of its progress; null where there is no such instance. */
export class GetProgressQuery extends Query<AgentProgress | null> {
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

/** An agent that was given up while nobody could tell whether it still works. */
export interface LeftAgent {
  agent_id: string;
  task_id: string;
  /** Where it is. */
  host_id: string | null;
}

/** Agents of these tasks that were left behind and are not known to be gone. No access check. */
export class FindLeftAgentsQuery extends Query<LeftAgent[]> {
  constructor(readonly task_ids: readonly string[]) {
    super();
  }
}

/** Whether the agent's runtime can hold it still; false where there is no such instance. */
export class CanHoldAgentQuery extends Query<boolean> {
  constructor(readonly agent_id: string) {
    super();
  }
}

/** Parts of a launch, as people are told of them. */
export const LAUNCH_STEPS = ['preparation', 'clone', 'image_pull', 'launch'] as const;

/** What a launch is at. */
export interface LaunchProgress {
  step: (typeof LAUNCH_STEPS)[number];
  /** The server's own words, such as `cloning https://…, branch main`. */
  message: string;
  /** Percent of the step; null where nobody counts. */
  percent: number | null;
}

/** What the server is at for an instance that does not run yet, as it was last told in its stream; null before that. */
export class GetLaunchProgressQuery extends Query<LaunchProgress | null> {
  constructor(readonly agent_id: string) {
    super();
  }
}
