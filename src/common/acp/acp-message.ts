/** The kinds of message. The table's CHECK lists the same. */
export const MESSAGE_TYPES = ['progress', 'log', 'result', 'error', 'status', 'heartbeat'] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One message of a task's stream, as it is stored and as it goes over every wire. */
export interface AcpMessage {
  type: MessageType;
  /** RFC 3339 UTC with milliseconds: the agent's own where it gave a sound one, else when it was read. */
  timestamp: string;
  agent_id: string;
  task_id: string;
  run_id: string;
  /** 1, 2, 3 … per task, without gaps, across its runs. */
  seq: number;
  data: Record<string, unknown>;
}

/** A message before it is stored: the server adds task, agent, run and `seq`. */
export interface MessageDraft {
  type: MessageType;
  timestamp: string;
  /** Of log messages; null for the rest. */
  level: LogLevel | null;
  data: Record<string, unknown>;
}
