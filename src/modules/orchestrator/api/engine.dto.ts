import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { DISK_LIMIT_METHODS, type EngineStatus, type NotEnforced } from '../../agent/contracts/engine.queries.js';

@ApiSchema({ name: 'NotEnforced' })
export class NotEnforcedDto implements NotEnforced {
  @ApiProperty({ example: 'swap' })
  what: string;

  /** Why, and what it means. */
  @ApiProperty({ example: 'The kernel does not count swap: an agent that uses up its memory is swapped out first.' })
  why: string;
}

/** The engine that runs the containers of this server, as it was found at the last check. */
@ApiSchema({ name: 'EngineStatus' })
export class EngineStatusDto implements EngineStatus {
  /** Whether it answers now; the rest is of the last check. */
  @ApiProperty({ example: true })
  available: boolean;

  /** `docker` or `podman`. */
  @ApiProperty({ nullable: true, type: String, example: 'docker' })
  product: string | null;

  @ApiProperty({ nullable: true, type: String, example: '26.1.5' })
  version: string | null;

  @ApiProperty({ nullable: true, type: String, example: '1.45' })
  api_version: string | null;

  /** Of the program that makes containers, such as runc. */
  @ApiProperty({ nullable: true, type: String, example: '1.1.12' })
  runtime_version: string | null;

  @ApiProperty({ nullable: true, type: String, example: '2' })
  cgroup_version: string | null;

  @ApiProperty({ nullable: true, type: String, example: 'systemd' })
  cgroup_driver: string | null;

  @ApiProperty({ nullable: true, type: String, example: 'overlay2' })
  storage_driver: string | null;

  /** Whether the engine could limit what a container writes to its own layer, which agents can't; null: not known. */
  @ApiProperty({ nullable: true, type: Boolean, example: false })
  storage_quota: boolean | null;

  /** Whether containers outlive a restart of the engine. */
  @ApiProperty({ example: true })
  live_restore: boolean;

  /** What it confines by. */
  @ApiProperty({ type: [String], example: ['apparmor', 'seccomp', 'cgroupns'] })
  security: string[];

  /** What agents are meant to be kept from, and this host can't keep them from. */
  @ApiProperty({ type: [NotEnforcedDto] })
  not_enforced: NotEnforcedDto[];

  /** How `disk_limit` is held: by a file system of that size, or by measuring and ending the agent. */
  @ApiProperty({ nullable: true, enum: DISK_LIMIT_METHODS, enumName: 'DiskLimitMethod', example: 'filesystem' })
  disk_limit_method: EngineStatus['disk_limit_method'];

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  checked_at: string;
}
