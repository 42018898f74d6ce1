import type { AgentUser } from './container-runtime.js';
import type { StartFailure } from './start-failure.js';

/** The sources of output, one file each. */
export type OutputSource = 'stdout' | 'stderr';

/** An open output file. Reads see the same file even if the agent puts another one in its place. */
export abstract class OutputFile {
  /** Bytes that are there now. */
  abstract size(): Promise<number>;
  /** Up to `length` bytes from `offset`; fewer at the end of the file. They are good until the next read. */
  abstract read(offset: number, length: number): Promise<Buffer>;
  abstract close(): Promise<void>;
}

/** What an agent finds in its run directory when it starts. */
export interface AgentBriefing {
  /** Becomes `task.json`. */
  task: object;
  /** The agent's own key; becomes `api-key`, without a newline. */
  api_key: string;
}

export interface RunDirectoryOptions {
  /** The agent's standard input is fed from the file `input`, and not the FIFO `in`. */
  feed?: boolean;
}

/**
 * The per-attempt directory of the host that the agent sees as `/run/kandev`: its output (`out`, `err`), its input
 * (`in`, a FIFO that is made with its start, or the file `input` with the FIFO `bell`, which wakes whoever feeds it to the
 * agent), its task (`task.json`), its own key (`api-key`) and its artifacts. The agent can write here: everything that is
 * read back is treated as hostile.
 */
export abstract class RunDirectories {
  abstract path(agentId: string): string;
  /** Makes the directory, or completes one that a killed server has left half-made. Never touches output. */
  abstract prepare(
    agentId: string,
    briefing: AgentBriefing,
    user: AgentUser,
    options?: RunDirectoryOptions,
  ): Promise<void>;
  /** Null when there is no such file (the directory was never made, or the agent has removed it). */
  abstract openOutput(agentId: string, source: OutputSource): Promise<OutputFile | null>;
  /** Calls back when something may have been written; returns what ends that. A hint only. */
  abstract watch(agentId: string, onChange: () => void): () => void;
  /**
   * Writes one control message to the agent's standard input, whole or not at all. False when it does not read, and
   * always where its input is fed from a file.
   */
  abstract sendControl(agentId: string, message: object): Promise<boolean>;
  /**
   * Puts bytes in their place in the file `input`, as counted from its beginning: the same ones twice do no harm, and
   * what a killed server left half-written is completed. The agent gets them in order, once, even if it starts later.
   * False, for good, where there is no such file (any more), it is no file of the agent's alone, or it is shorter than
   * `at_byte`: the agent has seen to that.
   * @throws Error of the system, such as a full disk: a part may be written, and trying again completes it
   */
  abstract writeInput(agentId: string, at_byte: number, bytes: Buffer): Promise<boolean>;
  /** Whether a container or process of the attempt ever got as far as the gate: the latch is set. */
  abstract wasStarted(agentId: string): Promise<boolean>;
  /** Whether the agent's own command was begun: the gate was passed. */
  abstract hasBegun(agentId: string): Promise<boolean>;
  /** Lets the one that waits at the gate pass. False when nobody waits there (yet). */
  abstract openGate(agentId: string): Promise<boolean>;
  /** What the launcher says of a command that it could not run; null where it says nothing. */
  abstract startFailure(agentId: string): Promise<StartFailure | null>;
  abstract remove(agentId: string): Promise<void>;
  /** Agent ids of all directories that are there. */
  abstract list(): Promise<string[]>;
}
