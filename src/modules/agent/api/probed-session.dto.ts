import { ApiProperty, ApiSchema } from '@nestjs/swagger';

@ApiSchema({ name: 'ProbedAgent' })
export class ProbedAgentDto {
  @ApiProperty({ example: 'Gemini CLI' })
  name: string;

  @ApiProperty({ type: String, nullable: true, example: '0.40.1' })
  version: string | null;
}

@ApiSchema({ name: 'ProbedCapabilities' })
export class ProbedCapabilitiesDto {
  /** It can load a session of before, and tells again what was said in it. */
  @ApiProperty({ example: true })
  load: boolean;

  /** It can go on with a session of before without telling it again. */
  @ApiProperty({ example: false })
  resume: boolean;

  @ApiProperty({ example: false, description: 'It can list its sessions.' })
  list: boolean;

  @ApiProperty({ example: true, description: 'Prompts may have images.' })
  image: boolean;

  @ApiProperty({ example: false, description: 'Prompts may have sounds.' })
  audio: boolean;

  @ApiProperty({ example: true, description: 'Prompts may have files in them.' })
  embedded_context: boolean;
}

@ApiSchema({ name: 'ProbedAuthMethod' })
export class ProbedAuthMethodDto {
  /** For `quirks.auth_method` of the agent type's session settings. The agent's own word: no UUID. */
  @ApiProperty({ example: 'gemini-api-key', pattern: '.' })
  id: string;

  @ApiProperty({ example: 'Use Gemini API key' })
  name: string;

  /** Environment variables that it reads, as far as it says. */
  @ApiProperty({ type: [String], example: ['GEMINI_API_KEY'] })
  variables: string[];
}

@ApiSchema({ name: 'ProbedOpening' })
export class ProbedOpeningDto {
  /** How long it took, in milliseconds. */
  @ApiProperty({ type: 'integer', example: 61 })
  ms: number;

  /** Modes that the session may be in. */
  @ApiProperty({ type: [String], example: ['default', 'autoEdit'] })
  modes: string[];
}

@ApiSchema({ name: 'ProbedFailure' })
export class ProbedFailureDto {
  /** What a run would fail with. */
  @ApiProperty({ example: 'session.auth_required' })
  code: string;

  /** For people. */
  @ApiProperty({ example: 'The agent wants to be authenticated: Authentication required (-32000).' })
  text: string;
}

@ApiSchema({ name: 'ProbedNoise' })
export class ProbedNoiseDto {
  @ApiProperty({ type: 'integer', example: 0 })
  lines: number;

  /** The first of them, cut, without what is secret. */
  @ApiProperty({ type: String, nullable: true, example: null })
  example: string | null;
}

/** What an agent says of itself over the Agent Client Protocol. */
@ApiSchema({ name: 'ProbedSession' })
export class ProbedSessionDto {
  /** From the start of its command to its answer to `initialize`, in milliseconds; null where none came. */
  @ApiProperty({ type: 'integer', nullable: true, example: 812 })
  initialize_ms: number | null;

  @ApiProperty({ type: 'integer', nullable: true, example: 1 })
  protocol_version: number | null;

  @ApiProperty({ type: ProbedAgentDto, nullable: true })
  agent: ProbedAgentDto | null;

  @ApiProperty({ type: ProbedCapabilitiesDto, nullable: true })
  capabilities: ProbedCapabilitiesDto | null;

  @ApiProperty({ type: [ProbedAuthMethodDto] })
  auth_methods: ProbedAuthMethodDto[];

  /** The answer to `session/new`; null where no session was opened, which `failure` may explain. */
  @ApiProperty({ type: ProbedOpeningDto, nullable: true })
  opened: ProbedOpeningDto | null;

  @ApiProperty({ type: ProbedFailureDto, nullable: true })
  failure: ProbedFailureDto | null;

  /** Lines on standard output that are no JSON-RPC. */
  @ApiProperty({ type: ProbedNoiseDto })
  noise: ProbedNoiseDto;

  /** In bytes. */
  @ApiProperty({ type: 'integer', example: 1832 })
  longest_line_bytes: number;
}
