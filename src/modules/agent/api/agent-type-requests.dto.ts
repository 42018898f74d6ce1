import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import { ValidateIf, ValidateNested } from 'class-validator';
import { IsRetryPolicy, RetryPolicyRequest } from '../../../common/retries/retry-policy.dto.js';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsOneOf, IsText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import { IsInactivityTimeout, IsWallClockTimeout } from '../../../common/validation/timeouts.decorator.js';
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
import {
  AGENT_TYPE_NAME,
  ALLOWED_HOSTS,
  AreAllowedHosts,
  AreCapabilities,
  AreHostLabels,
  AreMounts,
  CAPABILITIES,
  CAPABILITY,
  COMMAND,
  HOST_LABELS,
  IsCommand,
  IsEnvironment,
  IsImageName,
  IsImageTag,
  IsPlainObject,
} from './agent-type-fields.js';
import { ResourceLimitsDto } from './resource-limits.dto.js';

/** Which agent types, and which part of the list. */
export class ListAgentTypesRequest extends PageQuery {
  /** Only those that may be started, or only those that may not. */
  @MayBeAbsent()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsFlag()
  @ApiProperty({ required: false, example: true })
  enabled?: boolean;

  /** Only those that say they can do this. */
  @MayBeAbsent()
  @IsText(CAPABILITY)
  @ApiProperty({ required: false, example: 'code_review' })
  capability?: string;
}

/** Fields of an agent type that may be given at first and changed later. */
class AgentTypeFields {
  @ValidateIf((_, value) => value !== undefined && value !== null)
  @IsText({ max: 5000 })
  @ApiProperty({ nullable: true, required: false, type: String, example: 'Reviews pull requests' })
  description?: string | null;

  /** A tag, or a digest such as `sha256:…`, which always names the same image. */
  @MayBeAbsent()
  @IsImageTag()
  @ApiProperty({ example: 'latest', required: false })
  docker_tag?: string;

  /** Program and arguments; null: what the image itself says. */
  @ValidateIf((_, value) => value !== undefined && value !== null)
  @IsCommand()
  @ApiProperty({ nullable: true, required: false, ...COMMAND, example: ['node', '/agent.mjs'] })
  command?: string[] | null;

  /** `process` runs without a container and without its protection, where the server allows it. */
  @MayBeAbsent()
  @IsOneOf(RUNTIMES)
  @ApiProperty({ enum: RUNTIMES, enumName: 'Runtime', required: false, example: 'docker' })
  runtime?: Runtime;

  @MayBeAbsent()
  @IsOneOf(PROTOCOLS)
  @ApiProperty({ enum: PROTOCOLS, enumName: 'Protocol', required: false, example: 'json-lines' })
  protocol?: Protocol;

  @MayBeAbsent()
  @IsPlainObject()
  @ValidateNested()
  @Type(() => ResourceLimitsDto)
  @ApiProperty({ type: () => ResourceLimitsDto, required: false })
  default_resources?: ResourceLimitsDto;

  /** `${NAME}` takes the variable from the server's allow-list when the agent starts. */
  @MayBeAbsent()
  @IsEnvironment()
  @ApiProperty({
    ...{ type: 'object', additionalProperties: { type: 'string' } },
    example: { GEMINI_API_KEY: '${GEMINI_API_KEY}' },
  })
  environment_vars?: Record<string, string>;

  @MayBeAbsent()
  @AreCapabilities()
  @ApiProperty({ required: false, ...CAPABILITIES, example: ['code_review', 'testing'] })
  capabilities?: string[];

  /** Credentials of the host that the agent asks for, read-only. No path can be given. */
  @MayBeAbsent()
  @AreMounts()
  @ApiProperty({
    ...{ enum: CREDENTIAL_MOUNTS, enumName: 'CredentialMount', isArray: true, required: false },
    ...{ uniqueItems: true, maxItems: CREDENTIAL_MOUNTS.length },
    example: ['ssh_keys', 'gitconfig'],
  })
  mounts?: CredentialMount[];

  /**
   * What its agents reach. `none`: nothing. `isolated`: this API, as far as their own key opens it, and the allowed
   * hosts, if any. `allowlist`: the same, and there has to be a host. `open`: everything.
   */
  @MayBeAbsent()
  @IsOneOf(NETWORK_MODES)
  @ApiProperty({ enum: NETWORK_MODES, enumName: 'NetworkMode', required: false, example: 'allowlist' })
  network?: NetworkMode;

  /** `example.com`, `*.example.com` or `example.com:8443`; without a port 80 and 443. */
  @MayBeAbsent()
  @AreAllowedHosts()
  @ApiProperty({ required: false, ...ALLOWED_HOSTS, example: ['generativelanguage.googleapis.com'] })
  allowed_hosts?: string[];

  /** Seconds of silence after which an agent is ended; null: the server's own setting. A task may say otherwise. */
  @IsInactivityTimeout()
  inactivity_timeout_seconds?: number | null;

  /** Seconds that an agent may run, pauses not counted; null: the server's own setting. A task may say otherwise. */
  @IsWallClockTimeout()
  wall_clock_timeout_seconds?: number | null;

  /** Its agents run only on hosts that have all of these labels, such as `gpu` or `zone=eu`. */
  @MayBeAbsent()
  @AreHostLabels()
  @ApiProperty({ required: false, ...HOST_LABELS, example: ['gpu'] })
  host_labels?: string[];

  /** When its failed attempts are tried again; null: the server's own settings. A task may say otherwise. */
  @IsRetryPolicy()
  retry_policy?: RetryPolicyRequest | null;

  /** Runs of a disabled type are refused. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false, example: true })
  enabled?: boolean;
}

/** Fields of an agent type that may be changed. */
@ApiSchema({ name: 'UpdateAgentType' })
export class UpdateAgentTypeRequest extends AgentTypeFields {
  /** Name of the image, without tag. */
  @MayBeAbsent()
  @IsImageName()
  @ApiProperty({ example: 'registry.example.com:5000/team/agent', required: false })
  docker_image?: string;
}

@ApiSchema({ name: 'CreateAgentType' })
export class CreateAgentTypeRequest extends AgentTypeFields {
  @IsText(AGENT_TYPE_NAME)
  @ApiProperty({ example: 'my-agent' })
  name: string;

  /** Name of the image, without tag. */
  @IsImageName()
  @ApiProperty({ example: 'registry.example.com:5000/team/agent' })
  docker_image: string;
}
