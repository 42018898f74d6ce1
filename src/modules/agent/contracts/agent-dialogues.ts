import type { MessageDraft } from '../../../common/acp/acp-message.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { FailureCode } from '../../../common/retries/failure-codes.js';
import type { AttemptTask } from './agent.commands.js';

/** Whose dialogue it is, as the instance's row says. */
export interface DialogueOf {
  agent_id: string;
  task_id: string;
  board_id: string;
  run_id: string;
  attempt: number;
  agent_type: string;
  host_id: string | null;
}

/** The same, and what is known of it by now. */
export interface DialogueAttempt extends DialogueOf {
  /** Somebody wants the agent to end. */
  stop_requested: boolean;
  /** Since when this process attends to it: what was due before could not be written, or be heard. */
  attended_since: Date;
  /** It was silent for too long. */
  is_inactive: boolean;
  /** It has ended: what is heard now is the last there is, and nothing can be sent any more. */
  has_ended: boolean;
}

/** What the agent wrote, in order: whole lines of its standard output without their newlines. */
export type Heard = { line: string } | { too_long: number };

/** What came of it. */
export interface Spoken {
  /** For the task's stream, before anything else that was read at the same time. */
  messages: MessageDraft[];
  /** Asks for another step then, whatever happens until then. */
  wake_at: Date | null;
  /** What it has used by now, in all, as far as it tells. */
  used: { tokens_in: number; tokens_out: number; cost_usd: number } | null;
  /** It waits for a person's word: its silence is none. */
  is_waiting: boolean;
  /** The agent has nothing more to do. With a failure: it failed. */
  over: { failure: { code: FailureCode; message: string } | null } | null;
}

/** A piece of a longer text: those that follow each other and are of the same one are one text. */
export interface TextPiece {
  /** Null of what says nothing of a text, and does not end one either. */
  of: string | null;
  text: string;
}

/** A frame to the agent, and where it begins in what the agent reads. */
export interface FrameToSend {
  at_byte: number;
  /** With its newline. */
  bytes: Buffer;
}

/**
 * Dialogues with agents over the Agent Client Protocol. What they are is in rows: whoever is killed at any point, the next
 * server goes on in the middle of a turn.
 */
export abstract class AgentDialogues {
  /**
   * The dialogue of an attempt that is about to be launched, in that folder as the agent sees it; again after a restart:
   * nothing. In a transaction that holds the instance's row under the present claim.
   */
  abstract open(tx: Tx, attempt: DialogueOf, task: AttemptTask, cwd: string): Promise<void>;
  /**
   * Takes in what the agent said, and what people and time want of it by now. In the transaction that stores how far the
   * output was read: so each line is heard once. `redact` takes out what nobody may see, of whatever is stored.
   */
  abstract step(tx: Tx, attempt: DialogueAttempt, heard: readonly Heard[], redact: <T>(value: T) => T): Promise<Spoken>;
  /** What a line of the agent's output says, where that is a piece of a text. A function of the line alone. */
  abstract pieceOf(line: string): TextPiece | null;
  /** What is to be sent from a byte on, in order. */
  abstract framesFrom(agentId: string, atByte: number): Promise<FrameToSend[]>;
  /** Calls back when there may be something for a step, or to be sent; returns what ends that. A hint only. */
  abstract listen(attempt: { agent_id: string; task_id: string }, onNews: () => void): () => void;
}
