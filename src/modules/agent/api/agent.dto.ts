import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsListOf, IsText, IsUuidText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import {
  AGENT_STATUSES,
  CREDENTIAL_MOUNTS,
  NETWORK_MODES,
  RUNTIMES,
  type AgentStatus,
  type CredentialMount,
  type NetworkMode,
  type Runtime,
} from '../contracts/agent.types.js';
import type { ContainerHealth } from '../domain/container-runtime.js';
import { AGENT_TYPE_NAME } from './agent-type-fields.js';
import { ResourceLimitsDto } from './resource-limits.dto.js';
import { ResourceUsageDto } from './resource-usage.dto.js';
import { SandboxReportDto } from './sandbox.dto.js';

/** Which of a task's agent instances, and which part of the list. */
export class ListTaskAgentsRequest extends PageQuery {
  /** One or more statuses, separated by commas. */
  @MayBeAbsent()
  @IsListOf(AGENT_STATUSES)
  @ApiProperty({ required: false, enum: AGENT_STATUSES, enumName: 'AgentStatus', isArray: true, example: ['RUNNING'] })
  status?: AgentStatus[];

  /** Those of this agent type, by its name. */
  @MayBeAbsent()
  @IsText(AGENT_TYPE_NAME)
  @ApiProperty({ required: false, example: 'demo-agent' })
  agent_type?: string;
}

/** Which agent instances, and which part of the list. */
export class ListAgentsRequest extends ListTaskAgentsRequest {
  /** Those of this task. */
  @MayBeAbsent()
  @InLowerCase()
  @IsUuidText()
  @ApiProperty({ required: false, example: '019ac1a5-7c1e-7000-8000-000000000004' })
  task_id?: string;

  /** Those of tasks on this board. */
  @MayBeAbsent()
  @InLowerCase()
  @IsUuidText()
  @ApiProperty({ required: false, example: '019ac1a5-7c1e-7000-8000-000000000005' })
  board_id?: string;
}

const HEALTH = {
  ...{ nullable: true, enum: ['starting', 'healthy', 'unhealthy'], enumName: 'AgentHealth' },
} as const;

/** What ran for one attempt of a run. */
@ApiSchema({ name: 'AgentInstance' })
export class AgentInstanceDto {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000003' })
  id: string;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000004' })
  task_id: string;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000006' })
  run_id: string;

  /** Which try of the run it is. */
  @ApiProperty({ type: 'integer', example: 1 })
  attempt: number;

  @ApiProperty({ example: 'demo-agent' })
  agent_type: string;

  /** What the agent type said then: see its versions. Null for attempts from before versions were kept. */
  @ApiProperty({ nullable: true, type: 'integer', example: 2 })
  agent_type_version: number | null;

  @ApiProperty({ enum: RUNTIMES, enumName: 'Runtime', example: 'docker' })
  runtime: Runtime;

  @ApiProperty({ nullable: true, type: String, example: '3f4e1d2c9b8a' })
  container_id: string | null;

  @ApiProperty({ nullable: true, type: String, example: 'kandev-019ac1a5-7c1e-7000-8000-000000000003' })
  container_name: string | null;

  @ApiProperty({ enum: AGENT_STATUSES, enumName: 'AgentStatus', example: 'RUNNING' })
  status: AgentStatus;

  @ApiProperty({ example: 'kandev/demo-agent:latest' })
  image_name: string;

  /** What the name was resolved to; the container was made from exactly this. */
  @ApiProperty({ nullable: true, type: String, example: 'sha256:9f86d081884c7d659a2feaa0c55ad015' })
  image_id: string | null;

  /** As a registry knows it; null for an image that was built on the host. */
  @ApiProperty({
    ...{ nullable: true, type: String },
    example: 'ghcr.io/kandev/demo-agent@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  })
  image_digest: string | null;

  @ApiProperty({ format: 'date-time', nullable: true, type: String, example: '2026-01-09T10:30:00.000Z' })
  started_at: string | null;

  @ApiProperty({ format: 'date-time', nullable: true, type: String, example: null })
  stopped_at: string | null;

  @ApiProperty({ nullable: true, type: 'integer', example: 0 })
  exit_code: number | null;

  /** Why it failed; stable. */
  @ApiProperty({ nullable: true, type: String, example: 'agent.oom_killed' })
  failure_code: string | null;

  /** The same for people. */
  @ApiProperty({ nullable: true, type: String, example: 'The agent ended with exit code 3.' })
  error_message: string | null;

  /** What the agent's last deciding `result` said. */
  @ApiProperty({ nullable: true, type: String, example: 'All tests pass.' })
  result_summary: string | null;

  @ApiProperty({ type: () => ResourceLimitsDto })
  resource_limits: ResourceLimitsDto;

  /** What it reaches over the network. */
  @ApiProperty({ enum: NETWORK_MODES, enumName: 'NetworkMode', example: 'isolated' })
  network: NetworkMode;

  /** The only hosts that it reaches. */
  @ApiProperty({ type: [String], example: ['generativelanguage.googleapis.com'] })
  allowed_hosts: string[];

  /** Credentials that its agent type asked for. */
  @ApiProperty({ enum: CREDENTIAL_MOUNTS, enumName: 'CredentialMount', isArray: true, example: ['ssh_keys'] })
  mounts: CredentialMount[];

  /** Seconds of silence after which it is ended: the task's, else the agent type's, else the server's. */
  @ApiProperty({ nullable: true, type: 'integer', example: 3600 })
  inactivity_timeout_seconds: number | null;

  /** Seconds that it may run, pauses not counted. */
  @ApiProperty({ nullable: true, type: 'integer', example: 86400 })
  wall_clock_timeout_seconds: number | null;

  /** Since when it is paused, or about to be. */
  @ApiProperty({ format: 'date-time', nullable: true, type: String, example: null })
  paused_at: string | null;

  /** How long it was paused, without the present pause. */
  @ApiProperty({ type: 'integer', example: 0 })
  paused_ms: number;

  /** What the image's own health check says; null where it has none. An agent that is not well is not ended for it. */
  @ApiProperty({ ...HEALTH, example: 'healthy' })
  health: ContainerHealth | null;

  /** The last sample of what it uses; the last one of all once it has ended. Null until there was one. */
  @ApiProperty({ nullable: true, type: () => ResourceUsageDto })
  usage: ResourceUsageDto | null;

  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:29:58.000Z' })
  created_at: string;

  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:30:00.000Z' })
  updated_at: string;
}

/** One agent instance, with what confines it. */
@ApiSchema({ name: 'AgentInstanceDetails' })
export class AgentDetailsDto extends AgentInstanceDto {
  /** What confines it, as asked for and as seen before its first instruction; null for a process. */
  @ApiProperty({ nullable: true, type: () => SandboxReportDto })
  sandbox: SandboxReportDto | null;
}

@ApiSchema({ name: 'AgentInstanceList' })
export class AgentInstanceListDto {
  @ApiProperty({ type: [AgentInstanceDto] })
  agents: AgentInstanceDto[];

  /** Of all instances that pass the filters. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, type: String, example: null })
  next_cursor: string | null;
}

/** UUIDs are stored and compared in lower case. */
function InLowerCase(): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.toLowerCase() : value));
}
