import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsFlag, IsUuidText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import type { QueuedRun } from '../app/queue.queries.js';
import { ESTIMATE_CONFIDENCES, type EstimateConfidence } from '../domain/start-estimate.js';
import { RUN, TASK } from './run-fields.js';
import { WaitingForDto } from './waiting-for.dto.js';

@ApiSchema({ name: 'TriggerRun' })
export class TriggerRequest {
  @IsUuidText()
  @ApiProperty({ example: TASK })
  task_id: string;

  /**
   * Starts even a finished or blocked task, ahead of its priority. It does not override dependencies, nor the archive.
   */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false, example: false })
  force?: boolean;
}

export class QueueQuery {
  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 200 })
  @ApiProperty({ required: false, example: 50 })
  limit: number = 50;

  /** How many to skip. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: 1_000_000 })
  @ApiProperty({ required: false, example: 0 })
  offset: number = 0;
}

@ApiSchema({ name: 'QueuedTask' })
export class QueuedTaskDto implements QueuedRun {
  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ format: 'uuid', example: RUN })
  run_id: string;

  /** 0 to 10, more is sooner. */
  @ApiProperty({ type: 'integer', example: 5 })
  priority: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  queued_at: string;

  /** Passed by until every task that it depends on is completed, and there is room in its board's column. */
  @ApiProperty({ example: false })
  waits_for_tasks: boolean;

  /** Place in the whole queue, 1 is next; null while it waits for other tasks or a time. */
  @ApiProperty({ type: 'integer', nullable: true, example: 3 })
  position: number | null;

  /**
   * From how long runs of this agent type took on this board of late, what runs now, and the places that there are. Null
   * where nothing sound can be said.
   */
  @ApiProperty({ format: 'date-time', nullable: true, type: String, example: '2026-11-22T12:04:30.000Z' })
  estimated_start: string | null;

  /**
   * How sure that is. `high`: each duration that it goes by is that of at least 10 runs that took about as long as each
   * other; `medium`: of at least 5; `low`: of fewer, or of all lengths, or far behind in the queue; `none`: no estimate.
   */
  @ApiProperty({ enum: ESTIMATE_CONFIDENCES, enumName: 'EstimateConfidence', example: 'medium' })
  estimate_confidence: EstimateConfidence;

  @ApiProperty({ type: WaitingForDto })
  waiting_for: WaitingForDto;
}

@ApiSchema({ name: 'Queue' })
export class QueueDto {
  /** In the order they are served; those that wait for a time, and then those that wait for other tasks, come last. */
  @ApiProperty({ type: [QueuedTaskDto] })
  tasks: QueuedTaskDto[];

  /** Of all that you may see. */
  @ApiProperty({ type: 'integer', example: 12 })
  total: number;
}
