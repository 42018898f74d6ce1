import type { FailureCode } from '../../../common/retries/failure-codes.js';
import type { Heard } from './agent-dialogues.js';

/** What is special about an agent, as far as a trial has to know. */
export interface TrialQuirks {
  /** The way to authenticate before a session is opened. */
  auth_method?: string | null;
  /** A younger session is not loaded before it is so old. */
  load_min_age_seconds?: number;
}

/** What is to be said to an agent on trial. */
export interface TrialPlan {
  /** The workspace, as the agent sees it. */
  cwd: string;
  quirks: TrialQuirks;
  /** A session to load, and when it was opened (RFC 3339); null: a new one. */
  session: { session_id: string; created_at: string } | null;
  /** A turn with this prompt, and another one that is cancelled; null: no turn. */
  prompt: string | null;
  /** What permission requests are answered. */
  answer: 'allow' | 'deny';
  /** Whether to ask for a method that there is not. */
  asks_unknown: boolean;
}

/** What comes of a step of a trial. */
export interface TrialStep {
  /** For the agent's input, in order; each piece is a write of its own, and not each ends a line. */
  pieces: Buffer[];
  /** All that was planned has been said and answered, or can't be. */
  over: boolean;
}

export interface TrialFailure {
  code: FailureCode;
  /** For people: what happened and what to do. */
  text: string;
}

export interface TrialCapabilities {
  load: boolean;
  resume: boolean;
  list: boolean;
  /** In prompts, beside text and links. */
  image: boolean;
  audio: boolean;
  embedded_context: boolean;
}

export interface TrialPermission {
  /** What is asked for; null where the agent does not say. */
  title: string | null;
  /** Kinds of the options that it offers, such as `reject_once`. */
  options: string[];
  /** The option that it was answered; null: that it is cancelled. */
  option_id: string | null;
  /** From the answer to the next line of the agent, in milliseconds; null: none came. */
  resumed_ms: number | null;
}

/** What is known of an agent on trial. Times are in milliseconds; null where it did not come to that. */
export interface TrialFacts {
  /** From the start of its command to its answer to `initialize`. */
  initialize_ms: number | null;
  protocol_version: number | null;
  agent: { name: string; version: string | null } | null;
  capabilities: TrialCapabilities | null;
  /** `variables`: those that the agent says it reads. */
  auth_methods: { id: string; name: string; variables: string[] }[];
  session: {
    session_id: string;
    how: 'new' | 'loaded' | 'resumed';
    opened_at: string;
    ms: number;
    modes: string[];
  } | null;
  /** Why the planned session was not loaded. */
  not_loaded: string | null;
  failure: TrialFailure | null;
  /** Methods that have no answer yet. */
  waits_for: string[];
  /** Lines on standard output that are no JSON-RPC; the first of them, cut. */
  noise: { lines: number; example: string | null };
  longest_line_bytes: number;
  /** Lines in which something is no UTF-8. */
  broken_text_lines: number;
  /** What became of the method that there is not: the error's code; null for an answer without an error. */
  unknown_method: { code: number | null; ms: number } | null;
  asked_unknown: boolean;
  permissions: TrialPermission[];
  turn: { stop_reason: string | null; ms: number; tokens: number | null } | null;
  cancel: { stop_reason: string | null; ms: number } | null;
}

/** One dialogue on trial. */
export interface TrialDialogue {
  /** Takes in what the agent said since the last call, and what the time is. The first call begins the dialogue. */
  step(heard: readonly Heard[], now: Date): TrialStep;
  /** What is known by now. */
  readonly facts: TrialFacts;
}

/** Dialogues over the Agent Client Protocol that are a trial: no row is written, nothing of them outlives the process. */
export abstract class TrialDialogues {
  abstract open(plan: TrialPlan): TrialDialogue;
  /** What the settings of this agent type's sessions say; nothing where there is no database. */
  abstract quirksOf(agentType: string): Promise<TrialQuirks>;
}
