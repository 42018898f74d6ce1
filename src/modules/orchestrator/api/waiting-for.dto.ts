import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { TaskState } from '../../task/contracts/task.types.js';
import { HOST_PROBLEMS, type HostHoldUp } from '../domain/hold-up.js';
import { LIMIT_SCOPES, type LimitScope } from '../domain/run-limit.entity.js';
import {
  WAIT_REASONS,
  type AwaitedColumn,
  type AwaitedLimit,
  type AwaitedTask,
  type WaitingFor,
  type WaitReason,
} from '../domain/waiting-for.js';
import { LATER, NULLABLE_TEXT, NULLABLE_TIME, TASK, TASK_STATE } from './run-fields.js';

const BOARD = '019ac1a5-7c1e-7000-8000-000000000004';

@ApiSchema({ name: 'AwaitedTask' })
export class AwaitedTaskDto implements AwaitedTask {
  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ example: 'Lay the ground' })
  title: string;

  @ApiProperty({ ...TASK_STATE, example: 'IN_PROGRESS' })
  state: TaskState;
}

@ApiSchema({ name: 'AwaitedColumn' })
export class AwaitedColumnDto implements AwaitedColumn {
  @ApiProperty({ ...TASK_STATE, example: 'IN_PROGRESS' })
  state: TaskState;

  /** As many as the board takes there. */
  @ApiProperty({ type: 'integer', example: 3 })
  max_tasks: number;

  /** As many as there are. Where it is fewer, the rest is for runs that were queued before. */
  @ApiProperty({ type: 'integer', example: 3 })
  tasks: number;
}

@ApiSchema({ name: 'AwaitedLimit' })
export class AwaitedLimitDto implements AwaitedLimit {
  @ApiProperty({ enum: LIMIT_SCOPES, enumName: 'LimitScope', example: 'board' })
  scope: LimitScope;

  /** What is at its limit: the id of a host, board or user, the name of an agent type, `*` for the whole server. */
  @ApiProperty({ example: BOARD })
  subject: string;

  @ApiProperty({ ...NULLABLE_TEXT, example: 'Website' })
  name: string | null;

  @ApiProperty({ type: 'integer', example: 3 })
  max_running: number;

  @ApiProperty({ type: 'integer', example: 3 })
  running: number;
}

@ApiSchema({ name: 'AwaitedHost' })
export class AwaitedHostDto implements HostHoldUp {
  /**
   * `none_up`: no host is up; `labels`: none that is up has the labels; `draining`: those that have them drain; `full`:
   * all their places are taken; `resources`: none has the memory and cores free; `saving_up`: what is free is kept for a
   * larger run that has waited for long.
   */
  @ApiProperty({ enum: HOST_PROBLEMS, enumName: 'HostProblem', example: 'resources' })
  problem: HostHoldUp['problem'];

  /** Labels that its agent type asks for; with `labels` those that are missing. */
  @ApiProperty({ type: [String], example: ['gpu'] })
  labels: string[];

  /** Of `resources`: what the host lacks that comes closest. */
  @ApiProperty({ type: 'integer', example: 268_435_456 })
  missing_memory_bytes: number;

  /** The same of cores. */
  @ApiProperty({ type: Number, example: 0 })
  missing_cpus: number;
}

@ApiSchema({ name: 'WaitingFor' })
export class WaitingForDto implements WaitingFor {
  /**
   * Of a queued run: `dependencies`: tasks that are not completed; `wip_limit`: its board's column is full; `back_off`:
   * its last attempt failed; `retry_after`: a provider has asked for a pause; `budget`: one is used up;
   * `agent_left`: an earlier agent of its task can't be reached and may still be at work; `limit`: as many
   * runs as may hold a place; `host`: no host takes it; `disk`: the hosts' disks are nearly full; `queue`: nothing but
   * its turn. Of one that is being started: `preparation` of its workspace, `clone` of its repository, `image_pull`,
   * `launch` of its agent. Of any that a host has: `engine`: its container engine does not answer.
   */
  @ApiProperty({ enum: WAIT_REASONS, enumName: 'WaitReason', example: 'limit' })
  reason: WaitReason;

  /** The same for people. */
  @ApiProperty({ example: 'The board "Website" may have 3 runs at once and has 3.' })
  message: string;

  /** Of `dependencies`: the tasks that have to be completed first. */
  @ApiProperty({ type: [AwaitedTaskDto] })
  tasks: AwaitedTaskDto[];

  /** Of `wip_limit`. */
  @ApiProperty({ nullable: true, type: AwaitedColumnDto })
  column: AwaitedColumnDto | null;

  /** Of `back_off`, `retry_after`, `budget` and `agent_left`: when it goes back into the queue. */
  @ApiProperty({ ...NULLABLE_TIME, example: LATER })
  until: string | null;

  /** Of `limit`. */
  @ApiProperty({ nullable: true, type: AwaitedLimitDto })
  limit: AwaitedLimitDto | null;

  /** Of `host`. */
  @ApiProperty({ nullable: true, type: AwaitedHostDto })
  host: AwaitedHostDto | null;

  /** Of `clone` and `image_pull`: percent, where somebody counts. */
  @ApiProperty({ nullable: true, type: Number, example: null })
  progress: number | null;

  /** Place in the whole queue, 1 is next; null for a run that is not in line. */
  @ApiProperty({ type: 'integer', nullable: true, example: 3 })
  position: number | null;
}
