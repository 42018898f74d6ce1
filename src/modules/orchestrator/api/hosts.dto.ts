import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsText } from '../../../common/validation/fields.decorator.js';
import type { HostView } from '../app/host.queries.js';
import { HOST_STATES, type HostState } from '../domain/host-state.js';
import { TIME } from './run-fields.js';

@ApiSchema({ name: 'DrainHost' })
export class DrainHostRequest {
  /** For whoever looks at the list of hosts. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 1000 })
  @ApiProperty({ required: false, example: 'Gets a new disk' })
  reason?: string;
}

/** A machine with an engine, and the server process that lets agents run there. */
@ApiSchema({ name: 'Host' })
export class HostDto implements HostView {
  /** Of the server's home there: stays the same over restarts. */
  @ApiProperty({ format: 'uuid', example: '2f6b5f1e-6a52-4b8a-9a6e-0e4f2d1c3b5a' })
  id: string;

  @ApiProperty({ example: 'runner-1' })
  name: string;

  /** What agent types may ask for. */
  @ApiProperty({ type: [String], example: ['gpu', 'zone=eu'] })
  labels: string[];

  /** `draining`: takes no new runs; `down`: silent for so long that what ran there is lost. */
  @ApiProperty({ enum: HOST_STATES, enumName: 'HostState', example: 'up' })
  state: HostState;

  /** Whether it was told to take no new runs, also while it is down. */
  @ApiProperty({ example: false })
  draining: boolean;

  @ApiProperty({ nullable: true, type: String, example: null })
  drain_reason: string | null;

  /** Agents that may run there at once. */
  @ApiProperty({ type: 'integer', example: 4 })
  slots: number;

  /** Runs that hold a place there. */
  @ApiProperty({ type: 'integer', example: 2 })
  running: number;

  /** That its agents may be given together, and what those that run were given, by their limits. */
  @ApiProperty({ type: 'integer', example: 17_179_869_184 })
  memory_bytes: number;

  @ApiProperty({ type: 'integer', example: 4_294_967_296 })
  reserved_memory_bytes: number;

  /** The same of cores. */
  @ApiProperty({ example: 16 })
  cpus: number;

  @ApiProperty({ example: 2 })
  reserved_cpus: number;

  /** What does not work there as it should, in sentences; empty when all is well. */
  @ApiProperty({ type: [String], example: [] })
  degraded: string[];

  /** Of its server. */
  @ApiProperty({ example: '1.0.0' })
  server_version: string;

  /** When its server has started. */
  @ApiProperty({ format: 'date-time', example: TIME })
  started_at: string;

  /** By the database's clock. */
  @ApiProperty({ format: 'date-time', example: TIME })
  last_heartbeat: string;
}

@ApiSchema({ name: 'HostList' })
export class HostListDto {
  @ApiProperty({ type: [HostDto] })
  hosts: HostDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  total: number;
}
