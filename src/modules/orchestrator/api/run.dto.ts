import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { TASK_STATES, type TaskState } from '../../task/contracts/task.types.js';
import type { RunStatus } from '../app/run-status.query.js';
import type { RunRecord } from '../app/run.queries.js';
import { WAIT_REASONS, type WaitingFor } from '../app/wait-reasons.js';
import type { RunReceipt } from '../contracts/run.commands.js';
import { RUN_STATES, type RunState } from '../contracts/run.types.js';

const TASK = '019ac1a5-7c1e-7000-8000-000000000000';
const RUN = '019ac1a5-7c1e-7000-8000-000000000001';
const AGENT = '019ac1a5-7c1e-7000-8000-000000000002';
const USER = '019ac1a5-7c1e-7000-8000-000000000003';
const TIME = '2026-11-22T12:00:00.000Z';
const LATER = '2026-11-22T12:00:02.000Z';

const RUN_STATE = { enum: RUN_STATES, enumName: 'RunState' } as const;
const TASK_STATE = { enum: TASK_STATES, enumName: 'TaskState' } as const;
const NULLABLE_UUID = { format: 'uuid', nullable: true, type: String } as const;
const NULLABLE_TIME = { format: 'date-time', nullable: true, type: String } as const;
const NULLABLE_TEXT = { nullable: true, type: String } as const;

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

@ApiSchema({ name: 'AwaitedTask' })
export class AwaitedTaskDto {
  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ example: 'Lay the ground' })
  title: string;

  @ApiProperty({ ...TASK_STATE, example: 'IN_PROGRESS' })
  state: TaskState;
}

@ApiSchema({ name: 'WaitingFor' })
export class WaitingForDto implements WaitingFor {
  /**
   * `dependencies`: tasks that are not completed; `capacity`: this host runs as many agents as it may; `dispatch`:
   * only to be taken from the queue, which is a matter of seconds.
   */
  @ApiProperty({ enum: WAIT_REASONS, enumName: 'WaitReason', example: 'dependencies' })
  reason: WaitingFor['reason'];

  /** Of `dependencies`: the tasks that have to be completed first. */
  @ApiProperty({ type: [AwaitedTaskDto] })
  tasks: AwaitedTaskDto[];

  /** Place in the whole queue, 1 is next; null with `dependencies`: such runs are passed by. */
  @ApiProperty({ type: 'integer', nullable: true, example: null })
  position: number | null;
}

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

  /** What a queued run waits for; null when it does not, or there is no run. */
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

  /** Percent, as the agent last told it. */
  @ApiProperty({ nullable: true, type: Number, example: 45 })
  progress: number | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: 'Analyzing code structure...' })
  current_operation: string | null;

  /** Null while nothing is known to estimate it from. */
  @ApiProperty({ ...NULLABLE_TIME, example: null })
  estimated_completion: string | null;

  /** Why a failed run failed; stable. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  failure_code: string | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  failure_message: string | null;
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

  /** Queued, and passed by until every task that it depends on is completed. */
  @ApiProperty({ example: false })
  waits_for_tasks: boolean;

  /** The user who started it; null when that account is gone. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  requested_by: string | null;

  /** What was said when it was stopped. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  stop_reason: string | null;

  /** Why a failed run failed; stable. */
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
