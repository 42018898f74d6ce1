import { defineEntity, p } from '@mikro-orm/postgresql';
import type { LogLevel, MessageType } from '../../../common/acp/acp-message.js';

export const AcpMessageSchema = defineEntity({
  name: 'AcpMessageRow',
  tableName: 'acp_messages',
  properties: {
    task_id: p.uuid().primary(),
    seq: p.bigint('number').primary(),
    /** The partition that holds it. */
    segment: p.integer().primary(),
    run_id: p.uuid(),
    agent_id: p.uuid(),
    type: p.string().length(20).$type<MessageType>(),
    level: p.string().length(20).$type<LogLevel>().nullable(),
    timestamp: p.datetime(3),
    data: p.json<Record<string, unknown>>().columnType('json'),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [
    {
      name: 'acp_messages_type_check',
      expression: "type in ('progress', 'log', 'result', 'error', 'status', 'heartbeat')",
    },
  ],
});

/** A stored message. Written and read by SQL only. */
export class AcpMessageRow extends AcpMessageSchema.class {}
AcpMessageSchema.setClass(AcpMessageRow);

export const MessageSegmentSchema = defineEntity({
  name: 'MessageSegment',
  tableName: 'message_segments',
  properties: {
    segment: p.integer().primary().autoincrement(false),
    created_at: p.datetime(3).defaultRaw('now()'),
    /** When the next one was begun; null for the one that messages go to now. */
    closed_at: p.datetime(3).nullable(),
  },
});

/** A partition of the messages. Retention removes whole ones. */
export class MessageSegment extends MessageSegmentSchema.class {}
MessageSegmentSchema.setClass(MessageSegment);

export const TaskStreamSchema = defineEntity({
  name: 'TaskStream',
  tableName: 'task_streams',
  properties: {
    task_id: p.uuid().primary(),
    /** The last `seq` that was given out. */
    head_seq: p.bigint('number').defaultRaw('0'),
    /** Where the last message went; 0 before the first one … */
    segment: p.integer().defaultRaw('0'),
    /** … and the first of the task's messages there. */
    segment_first_seq: p.bigint('number').defaultRaw('1'),
  },
});

/** The head of a task's stream. */
export class TaskStream extends TaskStreamSchema.class {}
TaskStreamSchema.setClass(TaskStream);

export const TaskStreamSegmentSchema = defineEntity({
  name: 'TaskStreamSegment',
  tableName: 'task_stream_segments',
  properties: {
    task_id: p.uuid().primary(),
    segment: p.integer().primary().autoincrement(false),
    first_seq: p.bigint('number'),
  },
});

/** That a segment holds messages of a task, from `first_seq` on. Goes with the segment. */
export class TaskStreamSegment extends TaskStreamSegmentSchema.class {}
TaskStreamSegmentSchema.setClass(TaskStreamSegment);
