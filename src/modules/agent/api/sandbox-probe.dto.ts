import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { SandboxProbe } from '../domain/sandbox.js';

const NO_CAPABILITIES = { CapInh: '0', CapPrm: '0', CapEff: '0', CapBnd: '0', CapAmb: '0' };
const NAMESPACES = { ipc: 4026532189, net: 4026532191, pid: 4026532190, user: 4026531837, uts: 4026532188 };

@ApiSchema({ name: 'SandboxMount' })
export class SandboxMountDto {
  @ApiProperty({ example: '/workspace' })
  target: string;

  /** Of the file system. */
  @ApiProperty({ example: 'ext4' })
  type: string;

  @ApiProperty({ type: [String], example: ['rw', 'relatime'] })
  options: string[];
}

/** What a program of the server's own saw from inside, before the agent's first instruction. */
@ApiSchema({ name: 'SandboxProbe' })
export class SandboxProbeDto implements SandboxProbe {
  @ApiProperty({ type: 'integer', example: 10001 })
  uid: number;

  @ApiProperty({ type: 'integer', example: 10001 })
  gid: number;

  @ApiProperty({ type: 'integer', isArray: true, example: [10001] })
  groups: number[];

  /** Sets of capabilities, in hex. */
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' }, example: NO_CAPABILITIES })
  capabilities: Record<string, string>;

  @ApiProperty({ example: true })
  no_new_privileges: boolean;

  /** 0 off, 1 strict, 2 filter. */
  @ApiProperty({ type: 'integer', example: 2 })
  seccomp: number;

  /** Empty where the kernel has no such module. */
  @ApiProperty({ example: 'docker-default (enforce)' })
  apparmor: string;

  @ApiProperty({ type: [String], example: ['lo'] })
  interfaces: string[];

  /** Destinations of IPv4 routes, in hex. */
  @ApiProperty({ type: [String], example: [] })
  routes: string[];

  /** Inode numbers of the namespaces it is in. */
  @ApiProperty({ type: 'object', additionalProperties: { type: 'integer' }, example: NAMESPACES })
  namespaces: Record<string, number>;

  @ApiProperty({ type: [SandboxMountDto] })
  mounts: SandboxMountDto[];

  /** In `/dev`. */
  @ApiProperty({ type: [String], example: ['full', 'null', 'random', 'tty', 'urandom', 'zero'] })
  devices: string[];

  @ApiProperty({ example: false })
  root_writable: boolean;

  @ApiProperty({ example: false })
  proc_sys_writable: boolean;

  /** Whether a user namespace could be made. */
  @ApiProperty({ example: false })
  can_unshare_user: boolean;

  /** -1 is unlimited; null where it does not show from inside. */
  @ApiProperty({ type: 'integer', format: 'int64', nullable: true, example: 2147483648 })
  memory_max: number | null;

  /** Memory and swap together. */
  @ApiProperty({ type: 'integer', format: 'int64', nullable: true, example: 2147483648 })
  memory_swap_max: number | null;

  /** Billionths of a core. */
  @ApiProperty({ type: 'integer', format: 'int64', nullable: true, example: 2000000000 })
  nano_cpus: number | null;

  @ApiProperty({ type: 'integer', nullable: true, example: 512 })
  pids_max: number | null;

  /** Name, soft and hard limit; -1 is unlimited. */
  @ApiProperty({ type: [String], example: ['core 0 0', 'nofile 8192 8192'] })
  rlimits: string[];

  /** Process ids that it can see. */
  @ApiProperty({ type: 'integer', isArray: true, example: [1, 7] })
  pids: number[];
}
