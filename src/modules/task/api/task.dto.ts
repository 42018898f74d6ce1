import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { RetryPolicyDto, ShowsRetryPolicy } from '../../../common/retries/retry-policy.dto.js';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';
import type { TaskRecord } from '../app/records.js';
import { EXAMPLE } from './task-requests.dto.js';

@ApiSchema({ name: 'Task' })
export class TaskDto implements TaskRecord {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000003' })
  id: string;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000002' })
  board_id: string;

  @ApiProperty({ example: EXAMPLE.title })
  title: string;

  @ApiProperty({ example: EXAMPLE.description })
  description: string;

  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', example: 'TODO' })
  state: TaskState;

  /** 0 to 10, more is sooner. */
  @ApiProperty({ type: 'integer', example: 5 })
  priority: number;

  @ApiProperty({ example: EXAMPLE.agent_type, nullable: true })
  agent_type: string | null;

  @ApiProperty({ example: EXAMPLE.repository_url, nullable: true })
  repository_url: string | null;

  @ApiProperty({ example: EXAMPLE.branch, nullable: true })
  branch: string | null;

  /** Seconds of silence after which its agent is ended; null leaves it to the agent type. */
  @ApiProperty({ type: 'integer', example: 1800, nullable: true })
  inactivity_timeout_seconds: number | null;

  /** Seconds that its agent may run, pauses not counted; null leaves it to the agent type. */
  @ApiProperty({ type: 'integer', example: null, nullable: true })
  wall_clock_timeout_seconds: number | null;

  /** When its failed attempts are tried again; null leaves it to the agent type. */
  @ShowsRetryPolicy()
  retry_policy: RetryPolicyDto | null;

  /** The agent instance that works on it, or the last one that did. */
  @ApiProperty({ format: 'uuid', nullable: true, example: null })
  assigned_agent_id: string | null;

  /** Tasks of the same board that have to be COMPLETED before it is started. */
  @ApiProperty({ type: 'string', format: 'uuid', isArray: true, example: EXAMPLE.depends_on })
  depends_on: string[];

  @ApiProperty({ type: 'object', additionalProperties: true, example: { ticket: 'SHOP-17' } })
  metadata: Record<string, unknown>;

  /** The user who made it. */
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000001' })
  created_by: string;

  /** Rises with each change; the ETag. */
  @ApiProperty({ type: 'integer', example: 1 })
  version: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  updated_at: string;

  /** When work on it began. */
  @ApiProperty({ format: 'date-time', nullable: true, example: null })
  started_at: string | null;

  /** When it was completed, failed or cancelled. */
  @ApiProperty({ format: 'date-time', nullable: true, example: null })
  completed_at: string | null;

  /** Since when it is in the archive, where lists don't show it. */
  @ApiProperty({ format: 'date-time', nullable: true, example: null })
  archived_at: string | null;
}
