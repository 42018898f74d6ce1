import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { RetryPolicyDto, ShowsRetryPolicy } from '../../../common/retries/retry-policy.dto.js';
import {
  CREDENTIAL_MOUNTS,
  NETWORK_MODES,
  PROTOCOLS,
  RUNTIMES,
  type CredentialMount,
  type NetworkMode,
  type Protocol,
  type Runtime,
} from '../contracts/agent.types.js';
import { ResourceLimitsDto } from './resource-limits.dto.js';

/** What an agent type says: all that an administrator writes. */
@ApiSchema({ name: 'AgentTypeDefinition' })
export class AgentTypeDefinitionDto {
  @ApiProperty({ nullable: true, type: String, example: 'Reviews pull requests' })
  description: string | null;

  @ApiProperty({ example: 'kandev/demo-agent' })
  docker_image: string;

  /** A tag, or a digest. */
  @ApiProperty({ example: 'latest' })
  docker_tag: string;

  /** Program and arguments; null: what the image itself says. */
  @ApiProperty({ nullable: true, type: [String], example: ['node', '/agent.mjs'] })
  command: string[] | null;

  @ApiProperty({ enum: RUNTIMES, enumName: 'Runtime', example: 'docker' })
  runtime: Runtime;

  @ApiProperty({ enum: PROTOCOLS, enumName: 'Protocol', example: 'json-lines' })
  protocol: Protocol;

  @ApiProperty({ type: () => ResourceLimitsDto })
  default_resources: ResourceLimitsDto;

  /** Administrators see the values; others see `***`, or which variable of the server it takes. */
  @ApiProperty({
    ...{ type: 'object', additionalProperties: { type: 'string' } },
    example: { GEMINI_API_KEY: '${GEMINI_API_KEY}' },
  })
  environment_vars: Record<string, string>;

  @ApiProperty({ type: [String], example: ['code_review', 'testing'] })
  capabilities: string[];

  /** Credentials of the host that it asks for. */
  @ApiProperty({ enum: CREDENTIAL_MOUNTS, enumName: 'CredentialMount', isArray: true, example: ['ssh_keys'] })
  mounts: CredentialMount[];

  /** What its agents reach over the network. */
  @ApiProperty({ enum: NETWORK_MODES, enumName: 'NetworkMode', example: 'allowlist' })
  network: NetworkMode;

  /** The only hosts that its agents reach. */
  @ApiProperty({ type: [String], example: ['generativelanguage.googleapis.com'] })
  allowed_hosts: string[];

  /** Seconds of silence after which an agent is ended; null: the server's own setting. */
  @ApiProperty({ nullable: true, type: 'integer', example: 1800 })
  inactivity_timeout_seconds: number | null;

  /** Seconds that an agent may run, pauses not counted; null: the server's own setting. */
  @ApiProperty({ nullable: true, type: 'integer', example: null })
  wall_clock_timeout_seconds: number | null;

  /** Its agents run only on hosts that have all of these labels. */
  @ApiProperty({ type: [String], example: ['gpu'] })
  host_labels: string[];

  /** When its failed attempts are tried again; null: the server's own settings. */
  @ShowsRetryPolicy()
  retry_policy: RetryPolicyDto | null;

  /** Runs of a disabled type are refused. */
  @ApiProperty({ example: true })
  enabled: boolean;
}

@ApiSchema({ name: 'AgentType' })
export class AgentTypeDto extends AgentTypeDefinitionDto {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000001' })
  id: string;

  @ApiProperty({ example: 'demo-agent' })
  name: string;

  /** Rises with each change; each is kept. */
  @ApiProperty({ type: 'integer', example: 1 })
  version: number;

  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:00:00.000Z' })
  created_at: string;

  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:00:00.000Z' })
  updated_at: string;
}

@ApiSchema({ name: 'AgentTypeList' })
export class AgentTypeListDto {
  @ApiProperty({ type: [AgentTypeDto] })
  agent_types: AgentTypeDto[];

  /** Of all agent types that pass the filters. */
  @ApiProperty({ type: 'integer', example: 3 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, type: String, example: null })
  next_cursor: string | null;
}

/** An agent type as it was: what the attempts of this version ran with. */
@ApiSchema({ name: 'AgentTypeVersion' })
export class AgentTypeVersionDto {
  @ApiProperty({ type: 'integer', example: 2 })
  version: number;

  @ApiProperty({ type: () => AgentTypeDefinitionDto })
  definition: AgentTypeDefinitionDto;

  /** The administrator who wrote it; null for what came with the server. */
  @ApiProperty({ format: 'uuid', nullable: true, type: String, example: '019ac1a5-7c1e-7000-8000-000000000002' })
  changed_by: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:00:00.000Z' })
  created_at: string;
}

@ApiSchema({ name: 'AgentTypeVersionList' })
export class AgentTypeVersionListDto {
  @ApiProperty({ type: [AgentTypeVersionDto] })
  versions: AgentTypeVersionDto[];

  @ApiProperty({ type: 'integer', example: 2 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, type: String, example: null })
  next_cursor: string | null;
}
