import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { NETWORK_MODES, type NetworkMode } from '../contracts/agent.types.js';
import type { SandboxPolicy, SandboxReport } from '../domain/sandbox.js';
import { SandboxProbeDto } from './sandbox-probe.dto.js';

const LIMITS = ['core 0 0', 'nofile 8192 8192'];
const MOUNTS = ['home /home/agent rw', 'launcher /run/kandev-launcher ro', 'workspace /workspace rw'];

/** What confines an agent's container. */
@ApiSchema({ name: 'SandboxPolicy' })
export class SandboxPolicyDto implements SandboxPolicy {
  /** The resolved image. */
  @ApiProperty({ example: 'sha256:9f86d081884c7d659a2feaa0c55ad015' })
  image: string;

  /** What runs first: the server's own launcher. */
  @ApiProperty({ example: 'launcher' })
  entrypoint: string;

  @ApiProperty({ example: '10001:10001' })
  user: string;

  /** Groups beside the user's own. */
  @ApiProperty({ type: [String], example: [] })
  groups: string[];

  @ApiProperty({ example: false })
  privileged: boolean;

  @ApiProperty({ type: [String], example: [] })
  cap_add: string[];

  @ApiProperty({ type: [String], example: ['ALL'] })
  cap_drop: string[];

  @ApiProperty({ example: true })
  no_new_privileges: boolean;

  /** `default` is the engine's own profile. */
  @ApiProperty({ example: 'default' })
  seccomp: string;

  /** `default` is the engine's own profile; empty where the engine has no AppArmor. */
  @ApiProperty({ example: 'default' })
  apparmor: string;

  /** Whether the dangerous parts of `/proc` and `/sys` are hidden or write-protected. */
  @ApiProperty({ example: true })
  masked_paths: boolean;

  @ApiProperty({ example: true })
  read_only_root: boolean;

  /** The engine's word for it. */
  @ApiProperty({ example: 'none' })
  network_mode: string;

  @ApiProperty({ example: 'private' })
  ipc_mode: string;

  /** Empty: the container's own. */
  @ApiProperty({ example: '' })
  pid_mode: string;

  @ApiProperty({ example: '' })
  userns_mode: string;

  @ApiProperty({ example: '' })
  uts_mode: string;

  @ApiProperty({ example: 'private' })
  cgroupns_mode: string;

  /** Null: unlimited. */
  @ApiProperty({ type: 'integer', format: 'int64', nullable: true, example: 2147483648 })
  memory_bytes: number | null;

  /** Memory and swap together; null: unlimited. */
  @ApiProperty({ type: 'integer', format: 'int64', nullable: true, example: 2147483648 })
  memory_swap_bytes: number | null;

  /** Billionths of a core; null: unlimited. */
  @ApiProperty({ type: 'integer', format: 'int64', nullable: true, example: 2000000000 })
  nano_cpus: number | null;

  /** Null: unlimited. */
  @ApiProperty({ type: 'integer', nullable: true, example: 512 })
  pids: number | null;

  /** Name, soft and hard limit. */
  @ApiProperty({ type: [String], example: LIMITS })
  ulimits: string[];

  /** What it is, where the agent sees it, and whether it may write there. */
  @ApiProperty({ type: [String], example: MOUNTS })
  mounts: string[];

  /** Of `/dev/shm`. */
  @ApiProperty({ type: 'integer', format: 'int64', nullable: true, example: 67108864 })
  shm_bytes: number | null;

  @ApiProperty({ type: [String], example: [] })
  devices: string[];

  /** Whether an init process collects the agent's children. */
  @ApiProperty({ example: true })
  init: boolean;

  /** Further settings of the engine that open a container. */
  @ApiProperty({ type: [String], example: [] })
  extras: string[];
}

/** What was asked of the engine, what it shows, and what a program inside saw before the agent ran. */
@ApiSchema({ name: 'SandboxReport' })
export class SandboxReportDto implements SandboxReport {
  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:30:00.000Z' })
  verified_at: string;

  @ApiProperty({ enum: NETWORK_MODES, enumName: 'NetworkMode', example: 'isolated' })
  network: NetworkMode;

  @ApiProperty({ type: SandboxPolicyDto })
  policy: SandboxPolicyDto;

  @ApiProperty({ type: SandboxPolicyDto })
  inspected: SandboxPolicyDto;

  /** Null where the container was refused before it was started. */
  @ApiProperty({ nullable: true, type: SandboxProbeDto })
  probe: SandboxProbeDto | null;

  /** Anything here has ended the attempt before the agent's code ran. */
  @ApiProperty({ type: [String], example: [] })
  differences: string[];

  /** What was asked for and can't be held on that host. */
  @ApiProperty({ type: [String], example: [] })
  not_enforced: string[];
}
