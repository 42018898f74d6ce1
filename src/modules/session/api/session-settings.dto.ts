import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ValidateIf, ValidateNested } from 'class-validator';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { textProblem } from '../../../common/validation/text.js';
import type { SettingsInput, SettingsView } from '../app/session-settings.queries.js';
import { TEMPLATE_NAMES, unknownNames } from '../domain/first-prompt.js';
import { DECISIONS, TOOL_KINDS, type Decision, type PolicyRule, type ToolKind } from '../domain/permission-policy.js';
import type { SessionQuirks } from '../domain/session-settings.entity.js';
import { NULLABLE_TEXT, NULLABLE_TIME, NULLABLE_UUID, TIME, USER } from './examples.js';
import { MAX_PATHS, MAX_RULES, MAX_TOOL_KINDS, PATTERN, rulesProblem } from './permission-rules.js';

const TEMPLATE = { max: 20_000 } as const;
const NAME = { min: 1, max: 200 } as const;
/** A year, as the server's own setting. */
const TIMEOUT = { min: 1, max: 31_536_000 } as const;
const MAX_AGE_SECONDS = 86_400; // a session that has to be older than a day is not one to go on with
const MAX_SETTLE_MS = 60_000;
const RULE = { decision: 'allow', tool_kinds: ['read', 'edit'], paths: ['src/**'] };
const EXAMPLE = '{{title}}\n\n{{description}}\n\nRun the tests before you end.';

const MayBeNull = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined && value !== null);

/** What an agent may do without being asked, or may not do; the first rule that fits counts. */
@ApiSchema({ name: 'PermissionRule' })
export class PermissionRuleDto implements PolicyRule {
  @ApiProperty({ enum: DECISIONS, enumName: 'PermissionDecision', example: RULE.decision })
  decision: Decision;

  /** What kinds of tools it is about; all where it is left out. */
  @ApiProperty({
    ...{ enum: TOOL_KINDS, enumName: 'ToolKind', isArray: true, required: false },
    ...{ minItems: 1, maxItems: MAX_TOOL_KINDS, example: RULE.tool_kinds },
  })
  tool_kinds?: ToolKind[];

  /**
   * Which paths, as seen from the workspace, by `*`, `?` and `**`; any, or none, where it is left out. No absolute ones
   * and no `..`: what lies outside the workspace fits no pattern.
   */
  @ApiProperty({
    ...{ type: 'array', required: false, minItems: 1, maxItems: MAX_PATHS, example: RULE.paths },
    items: { type: 'string', minLength: PATTERN.min, maxLength: PATTERN.max },
  })
  paths?: string[];
}

/** What is special about an agent; what is left out is as the Agent Client Protocol says. */
@ApiSchema({ name: 'SessionQuirks' })
export class SessionQuirksDto implements SessionQuirks {
  /** The way to authenticate where the agent wants it before it opens a session. */
  @MayBeAbsent()
  @IsText(NAME)
  @ApiProperty({ required: false, example: 'gemini-api-key' })
  auth_method?: string;

  /** A younger session is not loaded before it is so old: the agent would spoil it. */
  @MayBeAbsent()
  @IsWholeNumber({ min: 0, max: MAX_AGE_SECONDS })
  @ApiProperty({ required: false, example: 5 })
  load_min_age_seconds?: number;

  /** How long the agent may be silent before its repeating of a loaded session counts as over. */
  @MayBeAbsent()
  @IsWholeNumber({ min: 0, max: MAX_SETTLE_MS })
  @ApiProperty({ required: false, example: 500 })
  replay_settle_ms?: number;
}

/** All of it at once: what is left out, or null, is not set. */
@ApiSchema({ name: 'SetBoardSessionSettings' })
export class SetBoardSettingsRequest {
  /** What the first prompt of a task is made of, with `{{title}}`, `{{description}}`, `{{repository_url}}`, `{{branch}}`. */
  @MayBeNull()
  @Check('isTemplate', templateProblem)
  @ApiProperty({ ...NULLABLE_TEXT, required: false, minLength: 1, maxLength: TEMPLATE.max, example: EXAMPLE })
  prompt_template?: string | null;

  /** A board's and an agent type's count both, and the stricter decision holds; without any that fits people are asked. */
  @MayBeAbsent()
  @Check('areRules', rulesProblem)
  @ApiProperty({ type: () => PermissionRuleDto, isArray: true, required: false, maxItems: MAX_RULES, example: [RULE] })
  permission_rules?: PolicyRule[];

  /** How long a person has for an answer before it is a denial. A board's goes before an agent type's. */
  @MayBeNull()
  @IsWholeNumber(TIMEOUT)
  @ApiProperty({ required: false, nullable: true, example: 3600 })
  permission_timeout_seconds?: number | null;
}

@ApiSchema({ name: 'SetAgentTypeSessionSettings' })
export class SetAgentTypeSettingsRequest extends SetBoardSettingsRequest {
  /** The mode that sessions begin in, as the agent names it; null: the agent's own. */
  @MayBeNull()
  @IsText(NAME)
  @ApiProperty({ ...NULLABLE_TEXT, required: false, example: 'auto_edit' })
  mode_id?: string | null;

  @MayBeAbsent()
  @Check('isObject', (value) => (isObject(value) ? undefined : 'must be an object'))
  @ValidateNested()
  @Type(() => SessionQuirksDto)
  @ApiProperty({ required: false, type: () => SessionQuirksDto, example: { auth_method: 'gemini-api-key' } })
  quirks?: SessionQuirksDto;

  /** Keeps what is said from now on word for word, for administrators: see `GET /agents/{agentId}/frames`. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false, default: false, example: false })
  keep_frames?: boolean;
}

/** The settings as the use case takes them. */
export function toSettings(request: SetAgentTypeSettingsRequest): SettingsInput {
  const { prompt_template = null, permission_rules = [], permission_timeout_seconds = null } = request;
  const { mode_id = null, quirks = {}, keep_frames = false } = request;
  const rules = permission_rules.map(({ decision, tool_kinds, paths }) => ({ decision, tool_kinds, paths }));
  const ofType = { mode_id, quirks: toQuirks(quirks), keep_frames };
  return { prompt_template, permission_rules: rules, permission_timeout_seconds, ...ofType };
}

function toQuirks({ auth_method, load_min_age_seconds, replay_settle_ms }: SessionQuirks): SessionQuirks {
  return { auth_method, load_min_age_seconds, replay_settle_ms }; // what is undefined is not written
}

@ApiSchema({ name: 'BoardSessionSettings' })
export class BoardSettingsDto implements Omit<SettingsView, 'mode_id' | 'quirks' | 'keep_frames'> {
  /** Null: the agent type's, else the server's own. */
  @ApiProperty({ ...NULLABLE_TEXT, example: EXAMPLE })
  prompt_template: string | null;

  @ApiProperty({ type: [PermissionRuleDto], example: [RULE] })
  permission_rules: PolicyRule[];

  @ApiProperty({ type: 'integer', nullable: true, example: null })
  permission_timeout_seconds: number | null;

  /** Null where nothing is set, and when that account is gone. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  updated_by: string | null;

  /** Null where nothing is set. */
  @ApiProperty({ ...NULLABLE_TIME, example: TIME })
  updated_at: string | null;
}

@ApiSchema({ name: 'AgentTypeSessionSettings' })
export class AgentTypeSettingsDto extends BoardSettingsDto implements SettingsView {
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  mode_id: string | null;

  @ApiProperty({ type: SessionQuirksDto, example: { auth_method: 'gemini-api-key' } })
  quirks: SessionQuirksDto;

  /** What is said is kept word for word, for administrators. */
  @ApiProperty({ example: false })
  keep_frames: boolean;
}

/** Without what only agent types have. */
export function toBoardSettings({
  mode_id: _,
  quirks: __,
  keep_frames: ___,
  ...settings
}: SettingsView): BoardSettingsDto {
  return settings;
}

function templateProblem(value: unknown): string | undefined {
  const problem = textProblem(value, { min: 1, ...TEMPLATE });
  if (problem) return problem;
  const unknown = unknownNames(value as string);
  if (unknown.length === 0) return undefined;
  const known = TEMPLATE_NAMES.map((name) => `{{${name}}}`).join(', ');
  return `must not have {{${unknown[0]?.slice(0, 50)}}}: there are ${known}`;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
