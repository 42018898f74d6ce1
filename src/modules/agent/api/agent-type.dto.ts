import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ValidateIf, ValidateNested } from 'class-validator';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsOneOf, IsText } from '../../../common/validation/fields.decorator.js';
import { isStorableText, textProblem } from '../../../common/validation/text.js';
import type { Protocol, Runtime } from '../contracts/agent.types.js';
import { ResourceLimitsDto } from './agent.dto.js';

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
// The distribution reference grammar, without digest: [host[:port]/]path, lower case.
const IMAGE = /^(?:[a-zA-Z0-9.-]+(?::\d{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,99}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;

const IsCommand = (): PropertyDecorator =>
  Check('isCommand', commandProblem, { type: 'array', items: { type: 'string' } });
const IsEnvironment = (): PropertyDecorator =>
  Check('isEnvironment', environmentProblem, { type: 'object', additionalProperties: { type: 'string' } });
const AreCapabilities = (): PropertyDecorator =>
  Check('areCapabilities', (value) => textsProblem(value, 50, 100), { type: 'array', items: { type: 'string' } });

/** Fields of an agent type that may be changed. */
@ApiSchema({ name: 'UpdateAgentType' })
export class UpdateAgentTypeRequest {
  @ValidateIf((_, value) => value !== undefined && value !== null)
  @IsText({ max: 5000 })
  @ApiProperty({ nullable: true, required: false, type: String })
  description?: string | null;

  /** Name of the image, without tag. */
  @MayBeAbsent()
  @IsText({
    min: 1,
    max: 255,
    pattern: IMAGE,
    pattern_message: 'must be an image name without tag, such as kandev/demo-agent',
  })
  @ApiProperty({ example: 'kandev/demo-agent', required: false })
  docker_image?: string;

  @MayBeAbsent()
  @IsText({ min: 1, max: 100, pattern: TAG, pattern_message: 'must be an image tag, such as latest' })
  @ApiProperty({ example: 'latest', required: false })
  docker_tag?: string;

  /** Program and arguments; null: what the image itself says. */
  @ValidateIf((_, value) => value !== undefined && value !== null)
  @IsCommand()
  @ApiProperty({ nullable: true, required: false, type: [String], example: ['node', '/agent.mjs'] })
  command?: string[] | null;

  @MayBeAbsent()
  @IsOneOf(['docker', 'process'])
  @ApiProperty({ enum: ['docker', 'process'], required: false })
  runtime?: Runtime;

  @MayBeAbsent()
  @IsOneOf(['json-lines', 'agent-client-protocol'])
  @ApiProperty({ enum: ['json-lines', 'agent-client-protocol'], required: false })
  protocol?: Protocol;

  @MayBeAbsent()
  @ValidateNested({ message: 'must be an object of limits' })
  @Type(() => ResourceLimitsDto)
  default_resources?: ResourceLimitsDto;

  /** `${NAME}` takes the variable from the server's allow-list when the agent starts. */
  @MayBeAbsent()
  @IsEnvironment()
  @ApiProperty({ required: false, example: { GEMINI_API_KEY: '${GEMINI_API_KEY}' } })
  environment_vars?: Record<string, string>;

  @MayBeAbsent()
  @AreCapabilities()
  @ApiProperty({ required: false, type: [String], example: ['code_review', 'testing'] })
  capabilities?: string[];

  /** Runs of a disabled type are refused. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false })
  enabled?: boolean;
}

@ApiSchema({ name: 'CreateAgentType' })
export class CreateAgentTypeRequest extends UpdateAgentTypeRequest {
  @IsText({ min: 1, max: 100, pattern: NAME, pattern_message: 'must be lower-case letters, digits, ".", "_" and "-"' })
  @ApiProperty({ example: 'my-agent' })
  name: string;

  @IsText({
    min: 1,
    max: 255,
    pattern: IMAGE,
    pattern_message: 'must be an image name without tag, such as kandev/demo-agent',
  })
  @ApiProperty({ example: 'kandev/demo-agent' })
  declare docker_image: string;
}

@ApiSchema({ name: 'AgentType' })
export class AgentTypeDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ example: 'demo-agent' })
  name: string;

  @ApiProperty({ nullable: true, type: String })
  description: string | null;

  @ApiProperty({ example: 'kandev/demo-agent' })
  docker_image: string;

  @ApiProperty({ example: 'latest' })
  docker_tag: string;

  @ApiProperty({ nullable: true, type: [String] })
  command: string[] | null;

  @ApiProperty({ enum: ['docker', 'process'] })
  runtime: Runtime;

  @ApiProperty({ enum: ['json-lines', 'agent-client-protocol'] })
  protocol: Protocol;

  default_resources: ResourceLimitsDto;

  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  environment_vars: Record<string, string>;

  @ApiProperty({ type: [String] })
  capabilities: string[];

  enabled: boolean;

  @ApiProperty({ example: 1 })
  version: number;

  @ApiProperty({ format: 'date-time' })
  created_at: string;

  @ApiProperty({ format: 'date-time' })
  updated_at: string;
}

@ApiSchema({ name: 'AgentTypeList' })
export class AgentTypeListDto {
  agent_types: AgentTypeDto[];

  @ApiProperty({ example: 3 })
  total: number;

  @ApiProperty({ nullable: true, type: String })
  next_cursor: string | null;
}

function textsProblem(value: unknown, maxItems: number, maxLength: number): string | undefined {
  if (!Array.isArray(value) || value.length > maxItems) return `must be a list of at most ${maxItems} texts`;
  return value.map((item) => textProblem(item, { min: 1, max: maxLength })).find(Boolean);
}

function commandProblem(value: unknown): string | undefined {
  if (Array.isArray(value) && value.length === 0) return 'must name a program, or be null';
  return textsProblem(value, 100, 4096);
}

function environmentProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object of texts';
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length > 100) return 'must have at most 100 variables';
  for (const [name, text] of entries) {
    if (!VARIABLE.test(name))
      return `must have names of letters, digits and "_": ${JSON.stringify(name.slice(0, 50))} is none`;
    if (name.startsWith('KANDEV_')) return "must not set variables named KANDEV_…: those are the server's";
    if (typeof text !== 'string' || text.length > 32_768 || !isStorableText(text))
      return `must have a text for ${name}`;
  }
  return undefined;
}
