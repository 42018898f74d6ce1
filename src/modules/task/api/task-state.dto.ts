import { IsOptional } from 'class-validator';
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { IsOneOf, IsText } from '../../../common/validation/fields.decorator.js';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';
import type { TaskEventRecord } from '../app/records.js';

export class UpdateTaskStateRequest {
  @IsOneOf(TASK_STATES)
  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', example: 'IN_PROGRESS' })
  state: TaskState;

  /** Why, for the history. */
  @IsOptional()
  @IsText({ max: 1000 })
  @ApiProperty({ example: 'Needed for the release', nullable: true })
  reason?: string | null;
}

@ApiSchema({ name: 'TaskEvent' })
export class TaskEventDto implements TaskEventRecord {
  @ApiProperty({ type: 'integer', example: 17 })
  id: number;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000003' })
  task_id: string;

  @ApiProperty({ enum: ['task.created', 'task.updated', 'task.state_changed'], example: 'task.state_changed' })
  event_type: string;

  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', nullable: true, example: 'TODO' })
  old_state: TaskState | null;

  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', nullable: true, example: 'IN_PROGRESS' })
  new_state: TaskState | null;

  /** `reason`, `run_id`, and `changes` with `from` and `to` of each field. */
  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    example: { reason: 'Needed for the release' },
  })
  metadata: Record<string, unknown> | null;

  /** The user who did it; null when it was the server. */
  @ApiProperty({ format: 'uuid', nullable: true, example: '019ac1a5-7c1e-7000-8000-000000000001' })
  created_by: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;
}

@ApiSchema({ name: 'TaskEventList' })
export class TaskEventListDto {
  events: TaskEventDto[];

  /** Of all lines of the task's history. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, example: null })
  next_cursor: string | null;
}
