import type { NetworkMode, Protocol, ResourceLimits } from '../../contracts/agent.types.js';
import type { FailureCode } from '../../../../common/retries/failure-codes.js';
import type { TrialFacts, TrialQuirks } from '../../contracts/trial-dialogues.js';
import type { ImageFacts } from '../../domain/image-facts.js';
import type { Exit } from '../../domain/outcome.js';

/** `warn`: works, but people will miss something. `skip`: can't be told, the text says why. */
export const CHECK_OUTCOMES = ['pass', 'warn', 'fail', 'skip'] as const;
export type CheckOutcome = (typeof CHECK_OUTCOMES)[number];

/** One line of the table: a promise of the container contract, and whether it holds. */
export interface CheckRow {
  /** Stable, such as `stop.sigterm`. */
  check: string;
  /** What is promised. */
  promise: string;
  outcome: CheckOutcome;
  /** What was seen and, where it fails, what to do. */
  detail: string;
  /** What a run would fail with, where a run would fail by this; else null. */
  code: FailureCode | null;
}

/** Of a row: outcome, detail, code. */
export type Verdict = [outcome: CheckOutcome, detail: string, code?: FailureCode];

/** What a check has found out. */
export interface ImageReport {
  checks: CheckRow[];
  /** Of an agent that speaks the Agent Client Protocol and was started; else null. */
  session: TrialFacts | null;
}

/** What is to be checked. */
export interface CheckTarget {
  image_name: string;
  command: string[] | null;
  /** Null: what the image's label says, else `json-lines`. */
  protocol: Protocol | null;
  environment: Record<string, string>;
  limits: ResourceLimits;
  /** How long it may take to finish by itself, in seconds. */
  patience_seconds: number;
  network: Extract<NetworkMode, 'none' | 'open'>;
  /** How to talk to one that speaks the Agent Client Protocol. */
  session: SessionTarget;
}

export interface SessionTarget {
  quirks: TrialQuirks;
  /** A turn with this prompt; null: none. */
  prompt: string | null;
  /** What permission requests of it are answered. */
  answer: 'allow' | 'deny';
}

/** How one run of the image went. */
export interface TrialRun {
  begun: boolean;
  /** Why the container could not be brought as far as the agent's command. */
  launch_error: string | null;
  /** Ways in which it was not confined as asked. */
  differences: string[];
  uid: number | null;
  /** From the opened gate to the first byte of output; null where there was none. */
  first_output_ms: number | null;
  output: OutputSeen;
  /** Null while it had not ended when patience ran out. */
  exit: Exit | null;
  /** From SIGTERM to its end; null where nobody sent one. */
  stop_ms: number | null;
  memory_peak_bytes: number | null;
  /** The dialogue with it, where its protocol has one. */
  session: TrialFacts | null;
}

/** What an agent wrote, judged line by line. */
export interface OutputSeen {
  stdout_lines: number;
  stderr_lines: number;
  /** ACP messages by type. */
  messages: Record<string, number>;
  /** Lines that look like JSON and are no message; the first of them, cut. */
  broken: number;
  broken_example: string | null;
  /** JSON-RPC objects, of the Agent Client Protocol. */
  json_rpc: number;
  /** The last `result`'s status. */
  result_status: string | null;
  /** Lines that complain of a file system that can't be written. */
  read_only_complaints: string[];
  bytes: number;
}

/** All that a check has found out. */
export interface CheckEvidence {
  target: CheckTarget;
  image: ImageFacts | null;
  image_error: string | null;
  image_digest: string | null;
  whole: TrialRun | null;
  stopped: TrialRun | null;
}
