import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import type { RunRecord } from '../app/run.queries.js';
import type { RunReceipt } from '../contracts/run.commands.js';
import type { ParkReason, RunState } from '../contracts/run.types.js';
import {
  TASK,
  RUN,
  USER,
  TIME,
  LATER,
  RUN_STATE,
  PARKED_FOR,
  NULLABLE_UUID,
  NULLABLE_TIME,
  NULLABLE_TEXT,
} from './run-fields.js';

@ApiSchema({ name: 'StartRun' })
export class StartRunRequest {
  /** The task's own agent type when absent. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 100 })
  @ApiProperty({ required: false, example: 'demo-agent' })
  agent_type?: string;

  /** 0 to 10, more is sooner; the task's own when absent. */
  @MayBeAbsent()
  @IsWholeNumber({ min: 0, max: 10 })
  @ApiProperty({ required: false, example: 5 })
  priority?: number;
}

@ApiSchema({ name: 'RunReceipt' })
export class RunReceiptDto implements RunReceipt {
  @ApiProperty({ format: 'uuid', example: RUN })
  run_id: string;

  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ ...RUN_STATE, example: 'QUEUED' })
  state: RunState;

  /** Of the current attempt; null while the run is queued. */
  @ApiProperty({ ...NULLABLE_UUID, example: null })
  agent_instance_id: string | null;
}

@ApiSchema({ name: 'Run' })
export class RunDto implements RunRecord {
  @ApiProperty({ format: 'uuid', example: RUN })
  id: string;

  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ ...RUN_STATE, example: 'FAILED' })
  state: RunState;

  @ApiProperty({ example: 'demo-agent' })
  agent_type: string;

  /** 0 to 10, more is sooner. */
  @ApiProperty({ type: 'integer', example: 5 })
  priority: number;

  /** How many attempts were made. */
  @ApiProperty({ type: 'integer', example: 1 })
  attempt: number;

  /** How many it may have in all; null for runs from before that was kept. */
  @ApiProperty({ type: 'integer', nullable: true, example: 3 })
  max_attempts: number | null;

  /** Queued, and passed by until every task that it depends on is completed. */
  @ApiProperty({ example: false })
  waits_for_tasks: boolean;

  /** Queued, but not taken from the queue before this time. */
  @ApiProperty({ ...NULLABLE_TIME, example: null })
  not_before: string | null;

  @ApiProperty(PARKED_FOR)
  parked_for: ParkReason | null;

  /** The user who started it; null when that account is gone. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  requested_by: string | null;

  /** What was said when it was stopped. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  stop_reason: string | null;

  /** Why a failed run failed, or the last attempt of one that goes on; stable. */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'agent.exit_code' })
  failure_code: string | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: 'The agent ended with exit code 3.' })
  failure_message: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  queued_at: string;

  @ApiProperty({ ...NULLABLE_TIME, example: LATER })
  started_at: string | null;

  @ApiProperty({ ...NULLABLE_TIME, example: '2026-11-22T12:03:00.000Z' })
  finished_at: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;
}

@ApiSchema({ name: 'RunList' })
export class RunListDto {
  @ApiProperty({ type: [RunDto] })
  runs: RunDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** For `cursor`; null on the last page. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  next_cursor: string | null;
}
