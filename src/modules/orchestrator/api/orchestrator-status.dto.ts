import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import {
  ORCHESTRATOR_STATUSES,
  type Capacity,
  type OrchestratorStatus,
  type QueuedCounts,
} from '../app/orchestrator-status.query.js';
import { EngineStatusDto } from './engine.dto.js';
import { NULLABLE_TIME, TIME } from './run-fields.js';

@ApiSchema({ name: 'QueuedCounts' })
export class QueuedCountsDto implements QueuedCounts {
  /** In line: claimed as soon as there is a place for them. */
  @ApiProperty({ type: 'integer', example: 8 })
  ready: number;

  /** Waiting for other tasks, or for room in a column of their board. */
  @ApiProperty({ type: 'integer', example: 2 })
  waits_for_tasks: number;

  /** Waiting to be tried again. */
  @ApiProperty({ type: 'integer', example: 1 })
  back_off: number;

  /** Waiting as a provider has asked for. */
  @ApiProperty({ type: 'integer', example: 1 })
  retry_after: number;

  /** Waiting for a budget. */
  @ApiProperty({ type: 'integer', example: 0 })
  budget: number;

  /** Waiting until an earlier agent of their task that nobody can reach is gone. */
  @ApiProperty({ type: 'integer', example: 0 })
  agent_left: number;
}

@ApiSchema({ name: 'HostCounts' })
export class HostCountsDto {
  @ApiProperty({ type: 'integer', example: 2 })
  up: number;

  /** Take no new runs. */
  @ApiProperty({ type: 'integer', example: 1 })
  draining: number;

  /** Silent for so long that what ran there is lost. */
  @ApiProperty({ type: 'integer', example: 0 })
  down: number;
}

/** What the hosts that are up, or drain, offer together, and what their runs take. */
@ApiSchema({ name: 'Capacity' })
export class CapacityDto implements Capacity {
  @ApiProperty({ type: 'integer', example: 12 })
  slots: number;

  @ApiProperty({ type: 'integer', example: 5 })
  running: number;

  @ApiProperty({ type: 'integer', example: 51_539_607_552 })
  memory_bytes: number;

  @ApiProperty({ type: 'integer', example: 10_737_418_240 })
  reserved_memory_bytes: number;

  /** Cores, several agents to each. */
  @ApiProperty({ type: Number, example: 48 })
  cpus: number;

  @ApiProperty({ type: Number, example: 5 })
  reserved_cpus: number;
}

@ApiSchema({ name: 'OrchestratorStatus' })
export class OrchestratorStatusDto implements OrchestratorStatus {
  /** By the heartbeats of the hosts: `starting` before the first one, `stalled` when there was none for 20 seconds. */
  @ApiProperty({ enum: ORCHESTRATOR_STATUSES, enumName: 'OrchestratorState', example: 'running' })
  status: OrchestratorStatus['status'];

  /** Agents of all hosts that are being started, running, paused or stopped. */
  @ApiProperty({ type: 'integer', example: 5 })
  active_agents: number;

  /** Queued runs, with those that wait for other tasks or a time. */
  @ApiProperty({ type: 'integer', example: 12 })
  queued_tasks: number;

  /** The same, by what keeps them. */
  @ApiProperty({ type: QueuedCountsDto })
  queued: QueuedCountsDto;

  /** Runs that were given up: neither dismissed nor started again, and no later run of their task has completed. */
  @ApiProperty({ type: 'integer', example: 0 })
  dead_letters: number;

  @ApiProperty({ type: HostCountsDto })
  hosts: HostCountsDto;

  @ApiProperty({ type: CapacityDto })
  capacity: CapacityDto;

  /** Since the server process that answers was started. */
  @ApiProperty({ type: 'integer', example: 86400 })
  uptime_seconds: number;

  /** When a host has last looked after its runs; null while none ever has. */
  @ApiProperty({ ...NULLABLE_TIME, example: TIME })
  last_heartbeat: string | null;

  /**
   * The container engine of the server process that answers; null while that has just started and has not looked yet,
   * and where it serves none.
   */
  @ApiProperty({ nullable: true, type: EngineStatusDto })
  engine: EngineStatusDto | null;

  /**
   * What does not work as it should, in sentences; those about a host begin with its name, one that is down among them.
   * Empty when all is well.
   */
  @ApiProperty({
    type: [String],
    example: ['runner-1: The container engine does not answer: only agents without one can run.'],
  })
  degraded: string[];
}
