import { defineEntity, p } from '@mikro-orm/postgresql';
import type { LogLevel, MessageType } from '../../../common/acp/acp-message.js';

export const AcpMessageSchema = defineEntity({
  name: 'AcpMessageRow',
  tableName: 'acp_messages',
  properties: {
    task_id: p.uuid().primary(),
    seq: p.bigint('number').primary(),
    run_id: p.uuid(),
    agent_id: p.uuid(),
    type: p.string().length(20).$type<MessageType>(),
    level: p.string().length(20).$type<LogLevel>().nullable(),
    timestamp: p.datetime(3),
    data: p.json<Record<string, unknown>>(),
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

export const TaskStreamSchema = defineEntity({
  name: 'TaskStream',
  tableName: 'task_streams',
  properties: {
    task_id: p.uuid().primary(),
    /** The last `seq` that was given out. */
    head_seq: p.bigint('number').defaultRaw('0'),
  },
});

/** The head of a task's stream. */
export class TaskStream extends TaskStreamSchema.class {}
TaskStreamSchema.setClass(TaskStream);
