import type { AcpMessage, LogLevel, MessageType } from './acp-message.js';

/** A stored message on its way out: its wire form is made once and never parsed again. */
export interface StoredMessage {
  seq: number;
  /** What filters go by. */
  type: MessageType;
  level: LogLevel | null;
  /** An {@link AcpMessage} as JSON. */
  json: string;
}

/** The fields of a message besides its data. */
export type Envelope = Omit<AcpMessage, 'data'>;

/** The wire form of a message whose data is JSON already. */
export function wireJson({ type, timestamp, agent_id, task_id, run_id, seq }: Envelope, data: string): string {
  // Ids, types and times hold nothing that JSON would escape.
  return `{"type":"${type}","timestamp":"${timestamp}","agent_id":"${agent_id}","task_id":"${task_id}","run_id":"${run_id}","seq":${seq},"data":${data}}`;
}
