import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { TaskState } from '../../task/contracts/task.types.js';
import type { RunStatus } from '../app/run-status.query.js';
import type { RunState } from '../contracts/run.types.js';
import { ESTIMATE_BASES, type EstimateBasis } from '../domain/completion-estimate.js';
import {
  TASK,
  RUN,
  AGENT,
  TIME,
  LATER,
  RUN_STATE,
  TASK_STATE,
  NULLABLE_UUID,
  NULLABLE_TIME,
  NULLABLE_TEXT,
} from './run-fields.js';
import { WaitingForDto } from './waiting-for.dto.js';

@ApiSchema({ name: 'RunStatus' })
export class RunStatusDto implements RunStatus {
  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ ...TASK_STATE, example: 'IN_PROGRESS' })
  state: TaskState;

  @ApiProperty({ ...NULLABLE_UUID, example: RUN })
  run_id: string | null;

  @ApiProperty({ ...RUN_STATE, nullable: true, example: 'RUNNING' })
  run_state: RunState | null;

  /** What a run waits for that is queued, being started, or on a host whose engine is away; null when it does not. */
  @ApiProperty({ nullable: true, type: WaitingForDto })
  waiting_for: WaitingForDto | null;

  /** 0 while the run was never taken from the queue, then 1, 2, … */
  @ApiProperty({ type: 'integer', nullable: true, example: 1 })
  attempt: number | null;

  @ApiProperty({ ...NULLABLE_UUID, example: AGENT })
  agent_instance_id: string | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: 'demo-agent' })
  agent_type: string | null;

  @ApiProperty({ ...NULLABLE_TIME, example: TIME })
  queued_at: string | null;

  @ApiProperty({ ...NULLABLE_TIME, example: LATER })
  started_at: string | null;

  @ApiProperty({ ...NULLABLE_TIME, example: null })
  finished_at: string | null;

  /** Percent, as the agent last told it, 0 to 100. */
  @ApiProperty({ nullable: true, type: Number, example: 45 })
  progress: number | null;

  /** What the agent was last at, in its words; at most 500 characters. */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'Analyzing code structure...' })
  current_operation: string | null;

  /** Never in the past; null while the run is not at work, or nothing is known to estimate it from. */
  @ApiProperty({ ...NULLABLE_TIME, example: '2026-11-22T12:04:30.000Z' })
  estimated_completion: string | null;

  /**
   * What the estimate goes by. `progress`: how fast the attempt's own progress went, pauses not counted; `history`: how
   * long the last completed runs of this agent type on this board took (the median of at least 3), while there is not
   * enough progress to go by.
   */
  @ApiProperty({ enum: ESTIMATE_BASES, enumName: 'EstimateBasis', nullable: true, example: 'progress' })
  estimate_basis: EstimateBasis | null;

  /** Why a failed run failed; stable. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  failure_code: string | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  failure_message: string | null;
}
