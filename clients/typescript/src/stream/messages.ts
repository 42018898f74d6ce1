import type { AgentStatus, LogLevel, MessageType } from '../generated/types.gen.js';

/** Whatever else a message carries. */
type Extras = Record<string, unknown>;

interface Message<Type extends MessageType, Data> {
  type: Type;
  /** RFC 3339 UTC with milliseconds. */
  timestamp: string;
  agent_id: string;
  task_id: string;
  run_id: string;
  /** 1, 2, 3 … per task, without gaps, across its runs. */
  seq: number;
  /** As the agent wrote it: nobody has checked that it keeps to these types. */
  data: Data & Extras;
}

export type ProgressMessage = Message<'progress', { /** Percent. */ progress?: number; message?: string }>;
export type LogMessage = Message<'log', { level?: LogLevel; message?: string; metadata?: Extras }>;
export type ResultMessage = Message<'result', { status?: string; summary?: string; artifacts?: unknown[] }>;
export type ErrorMessage = Message<'error', { message?: string }>;
/**
 * With the source `server` the server tells of the agent instance, and `status` is an `AgentStatus`. Whatever an agent
 * calls its status has the source `agent`: words of its own, that change nothing.
 */
export type StatusMessage = Message<
  'status',
  { source: 'server'; status: AgentStatus; message?: string } | { source: 'agent'; status?: unknown; message?: unknown }
>;
export type HeartbeatMessage = Message<'heartbeat', Extras>;

/** A message of a task's stream; `type` tells which. */
export type StreamMessage =
  ProgressMessage | LogMessage | ResultMessage | ErrorMessage | StatusMessage | HeartbeatMessage;

/** What was asked for is not there any more: the stream of the task goes on with `first_seq`. */
export interface StreamReset {
  task_id: string;
  first_seq: number;
}

/** Which messages are wanted. Messages without a level (progress, result, status) pass `min_level`. */
export interface MessageFilter {
  types?: readonly MessageType[];
  min_level?: LogLevel;
}

/** @internal Of a filtered stream that lets little pass: how far it has come. */
export interface StreamPosition {
  task_id: string;
  seq: number;
}

/** @internal What a frame holds, in its order. */
export type Item = { message: StreamMessage } | { reset: StreamReset } | { position: StreamPosition } | { ack: Ack };

/** @internal The answer to a request. */
export interface Ack extends Extras {
  ok: boolean;
  request_id?: string;
  error?: unknown;
}

/**
 * @internal What a frame says; frames that a later server may add are passed over.
 * @throws SyntaxError for what is no frame of a Kandev server
 */
export function readFrame(data: unknown): Item[] {
  if (typeof data !== 'string') throw new SyntaxError('a frame that is no text');
  const frame: unknown = JSON.parse(data);
  return (Array.isArray(frame) ? frame : [frame]).flatMap(readItem);
}

const TYPES: ReadonlySet<string> = new Set<MessageType>(['progress', 'log', 'result', 'error', 'status', 'heartbeat']);

function readItem(value: unknown): Item[] {
  const item = value as Partial<Record<'type' | 'task_id' | 'first_seq' | 'seq' | 'data', unknown>> | null;
  if (typeof item !== 'object' || item === null || typeof item.type !== 'string') {
    throw new SyntaxError('a frame without a type');
  }
  if (item.type === 'ack') return [{ ack: value as Ack }];
  if (item.type === 'reset') {
    if (!isSeq(item.first_seq) || typeof item.task_id !== 'string') throw new SyntaxError('a reset without a position');
    return [{ reset: { task_id: item.task_id, first_seq: item.first_seq } }];
  }
  if (item.seq === undefined) return []; // the connection's own heartbeat
  if (!isSeq(item.seq) || typeof item.task_id !== 'string') throw new SyntaxError('a frame without a task');
  if (item.type === 'position') return [{ position: { task_id: item.task_id, seq: item.seq } }];
  if (item.data === undefined && !TYPES.has(item.type)) return [];
  if (typeof item.data !== 'object' || item.data === null) {
    throw new SyntaxError('a message that is none');
  }
  return [{ message: value as StreamMessage }];
}

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
