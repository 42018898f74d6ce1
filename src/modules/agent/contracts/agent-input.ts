import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';

/** Of the line that an agent reads, newline included: what a pipe holds (pipe(7)), so that an idle agent gets it whole. */
export const MAX_INPUT_BYTES = 65_536;

/** What the data of an input may be like; its size is the line's. Deep and wide enough for a form or a file. */
export const INPUT_LIMITS = { max_depth: 32, max_keys: 2_000, max_bytes: MAX_INPUT_BYTES * 16 } as const;

/** An agent was sent an input: it lies in its pipe, read or not. */
export interface InputReceipt {
  run_id: string;
  task_id: string;
  agent_instance_id: string;
  /** Of the line, newline included. */
  bytes: number;
}

/**
 * Writes `{"type": "control", "action": "input", "timestamp", "data"}` as one line to the standard input of the task's
 * running agent: whole, or not at all. The data is kept nowhere; the stream and the audit log tell who has sent one.
 * @throws DomainError `task.not_found`, `board.forbidden`, `run.not_running`, `agent.input_refused`,
 *   `agent.input_too_large`, `agent.elsewhere`, `host.elsewhere`
 */
export class SendAgentInputCommand extends Command<InputReceipt> {
  constructor(
    readonly actor: Actor,
    readonly task_id: string,
    readonly data: Record<string, unknown>,
  ) {
    super();
  }
}
