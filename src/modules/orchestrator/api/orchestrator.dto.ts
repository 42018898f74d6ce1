import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsFlag, IsUuidText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { EngineStatusDto } from './engine.dto.js';
import { ORCHESTRATOR_STATUSES, type OrchestratorStatus, type QueuedRun } from '../app/queue.queries.js';

const TASK = '019ac1a5-7c1e-7000-8000-000000000000';
const RUN = '019ac1a5-7c1e-7000-8000-000000000001';

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

@ApiSchema({ name: 'OrchestratorStatus' })
export class OrchestratorStatusDto implements OrchestratorStatus {
  /** `starting` before the first heartbeat, `stalled` when there was none for 20 seconds. */
  @ApiProperty({ enum: ORCHESTRATOR_STATUSES, enumName: 'OrchestratorState', example: 'running' })
  status: OrchestratorStatus['status'];

  /** Agents of this server that are being started, running or stopped. */
  @ApiProperty({ type: 'integer', example: 2 })
  active_agents: number;

  /** Queued runs, with those that wait for other tasks. */
  @ApiProperty({ type: 'integer', example: 12 })
  queued_tasks: number;

  /** Since this server was started. */
  @ApiProperty({ type: 'integer', example: 86400 })
  uptime_seconds: number;

  /** When this server has last looked after its runs; null while it has just started. */
  @ApiProperty({ format: 'date-time', nullable: true, type: String, example: '2026-11-22T12:00:00.000Z' })
  last_heartbeat: string | null;

  /** The container engine; null while this server has just started and has not looked yet. */
  @ApiProperty({ nullable: true, type: EngineStatusDto })
  engine: EngineStatusDto | null;

  /** What does not work as it should, in sentences; empty when all is well. */
  @ApiProperty({ type: [String], example: ['The container engine does not answer: only agents without one can run.'] })
  degraded: string[];
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

  /** Passed by until every task that it depends on is completed. */
  @ApiProperty({ example: false })
  waits_for_tasks: boolean;

  /** Place in the whole queue, 1 is next; null while it waits for other tasks. */
  @ApiProperty({ type: 'integer', nullable: true, example: 3 })
  position: number | null;

  /** Null while nothing is known to estimate it from. */
  @ApiProperty({ format: 'date-time', nullable: true, type: String, example: null })
  estimated_start: string | null;
}

@ApiSchema({ name: 'Queue' })
export class QueueDto {
  /** In the order they are served; those that wait for other tasks come last. */
  @ApiProperty({ type: [QueuedTaskDto] })
  tasks: QueuedTaskDto[];

  /** Of all that you may see. */
  @ApiProperty({ type: 'integer', example: 12 })
  total: number;
}
