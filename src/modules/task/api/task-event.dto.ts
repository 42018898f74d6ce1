import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsListOf } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';
import type { TaskEventRecord } from '../app/records.js';

const EVENT_TYPES = ['task.created', 'task.updated', 'task.state_changed'];

/** Which lines of a task's history. */
export class ListTaskEventsRequest extends PageQuery {
  /** Of one of these kinds, separated by commas. */
  @MayBeAbsent()
  @IsListOf(EVENT_TYPES)
  @ApiProperty({ example: ['task.state_changed'] })
  event_type?: string[];
}

const FIELD_CHANGE = {
  type: 'object',
  required: ['from', 'to'],
  properties: { from: { description: 'What it was.' }, to: { description: 'What it became.' } },
};

@ApiSchema({ name: 'TaskEvent' })
export class TaskEventDto implements TaskEventRecord {
  @ApiProperty({ type: 'integer', example: 17 })
  id: number;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000003' })
  task_id: string;

  @ApiProperty({ enum: EVENT_TYPES, example: 'task.state_changed' })
  event_type: string;

  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', nullable: true, example: 'TODO' })
  old_state: TaskState | null;

  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', nullable: true, example: 'IN_PROGRESS' })
  new_state: TaskState | null;

  /** Why, in the words of who did it. */
  @ApiProperty({ nullable: true, example: 'Needed for the release' })
  reason: string | null;

  /** What each changed field was and became, by its name; null when none did. */
  @ApiProperty({
    type: 'object',
    additionalProperties: FIELD_CHANGE,
    nullable: true,
    example: { state: { from: 'TODO', to: 'IN_PROGRESS' } },
  })
  changes: TaskEventRecord['changes'];

  /** All that was noted: `reason`, `run_id`, `changes`, and what else there is to know. */
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

  @ApiProperty({ nullable: true, example: 'ann' })
  created_by_username: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;
}

@ApiSchema({ name: 'TaskEventList' })
export class TaskEventListDto {
  events: TaskEventDto[];

  /** Of all lines that pass the filter. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, example: null })
  next_cursor: string | null;
}
