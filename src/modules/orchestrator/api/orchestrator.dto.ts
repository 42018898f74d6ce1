import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsFlag, IsText, IsUuidText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { TASK_STATES, type TaskState } from '../../task/contracts/task.types.js';
import { RUN_STATES, type RunState } from '../contracts/run.types.js';

@ApiSchema({ name: 'StartRun' })
export class StartRunRequest {
  /** The task's own agent type when absent. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 100 })
  @ApiProperty({ example: 'demo-agent' })
  agent_type?: string;

  /** 0 to 10, more is sooner; the task's own when absent. */
  @MayBeAbsent()
  @IsWholeNumber({ min: 0, max: 10 })
  @ApiProperty({ example: 5 })
  priority?: number;
}

@ApiSchema({ name: 'TriggerRun' })
export class TriggerRequest {
  @IsUuidText()
  task_id: string;

  /** Starts even a finished or blocked task, ahead of its priority. */
  @MayBeAbsent()
  @IsFlag()
  force?: boolean;
}

@ApiSchema({ name: 'RunReceipt' })
export class RunReceiptDto {
  @ApiProperty({ format: 'uuid' })
  run_id: string;

  @ApiProperty({ format: 'uuid' })
  task_id: string;

  @ApiProperty({ enum: RUN_STATES, enumName: 'RunState', example: 'QUEUED' })
  state: RunState;

  /** Of the current attempt; null while the run is queued. */
  @ApiProperty({ format: 'uuid', nullable: true, type: String })
  agent_instance_id: string | null;
}

@ApiSchema({ name: 'OrchestratorStatus' })
export class OrchestratorStatusDto {
  @ApiProperty({ example: 'running' })
  status: string;

  /** Agents of this server that are being started, running or stopped. */
  @ApiProperty({ example: 2 })
  active_agents: number;

  @ApiProperty({ example: 12 })
  queued_tasks: number;

  @ApiProperty({ example: 86400 })
  uptime_seconds: number;

  @ApiProperty({ format: 'date-time' })
  last_heartbeat: string;
}

export class QueueQuery {
  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 200 })
  limit: number = 50;

  /** How many to skip. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: 1_000_000 })
  offset: number = 0;
}

@ApiSchema({ name: 'QueuedTask' })
export class QueuedTaskDto {
  @ApiProperty({ format: 'uuid' })
  task_id: string;

  @ApiProperty({ format: 'uuid' })
  run_id: string;

  @ApiProperty({ example: 5 })
  priority: number;

  @ApiProperty({ format: 'date-time' })
  queued_at: string;

  /** Null while nothing is known to estimate it from. */
  @ApiProperty({ format: 'date-time', nullable: true, type: String })
  estimated_start: string | null;
}

@ApiSchema({ name: 'Queue' })
export class QueueDto {
  tasks: QueuedTaskDto[];

  @ApiProperty({ example: 12 })
  total: number;
}

@ApiSchema({ name: 'RunStatus' })
export class RunStatusDto {
  @ApiProperty({ format: 'uuid' })
  task_id: string;

  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', example: 'IN_PROGRESS' })
  state: TaskState;

  @ApiProperty({ format: 'uuid', nullable: true, type: String })
  run_id: string | null;

  @ApiProperty({ enum: RUN_STATES, enumName: 'RunState', nullable: true, example: 'RUNNING' })
  run_state: RunState | null;

  @ApiProperty({ nullable: true, type: Number, example: 1 })
  attempt: number | null;

  @ApiProperty({ format: 'uuid', nullable: true, type: String })
  agent_instance_id: string | null;

  @ApiProperty({ nullable: true, type: String, example: 'demo-agent' })
  agent_type: string | null;

  @ApiProperty({ format: 'date-time', nullable: true, type: String })
  queued_at: string | null;

  @ApiProperty({ format: 'date-time', nullable: true, type: String })
  started_at: string | null;

  @ApiProperty({ format: 'date-time', nullable: true, type: String })
  finished_at: string | null;

  /** Percent, as the agent last told it. */
  @ApiProperty({ nullable: true, type: Number, example: 45 })
  progress: number | null;

  @ApiProperty({ nullable: true, type: String, example: 'Analyzing code structure...' })
  current_operation: string | null;

  /** Null while nothing is known to estimate it from. */
  @ApiProperty({ format: 'date-time', nullable: true, type: String })
  estimated_completion: string | null;

  /** Why a failed run failed; stable. */
  @ApiProperty({ nullable: true, type: String, example: 'agent.exit_code' })
  failure_code: string | null;

  @ApiProperty({ nullable: true, type: String, example: 'The agent ended with exit code 3.' })
  failure_message: string | null;
}
