import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsFlag, IsText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import type { PromptView } from '../app/prompt.queries.js';
import {
  PROMPT_KINDS,
  PROMPT_STATES,
  type PromptAttachment,
  type PromptKind,
  type PromptState,
} from '../domain/prompt.entity.js';
import { attachmentsProblem, MAX_ATTACHMENTS, MEDIA_TYPE, NAME, PATH } from './attachments.js';
import {
  AGENT,
  LATER,
  NULLABLE_TEXT,
  NULLABLE_TIME,
  NULLABLE_UUID,
  PROMPT,
  RUN,
  TASK,
  TIME,
  USER,
} from './examples.js';

/** As long as a novel's chapter; what is longer is a file. */
const TEXT = { min: 1, max: 100_000, pattern: /\S/, pattern_message: 'must not be blank' } as const;
const MAX_OFFSET = 1_000_000; // as of other lists
const COUNT = { type: 'integer', nullable: true } as const;

/** A file of the workspace (`path`), or an image or a text that comes along (`data` and `media_type`). */
@ApiSchema({ name: 'NewPromptAttachment' })
export class NewAttachmentDto implements PromptAttachment {
  @ApiProperty({ minLength: NAME.min, maxLength: NAME.max, example: 'screenshot.png' })
  name: string;

  /** Relative to the workspace, without `..`; instead of `data`. */
  @ApiProperty({ required: false, minLength: PATH.min, maxLength: PATH.max, example: 'docs/design.md' })
  path?: string;

  @ApiProperty({ required: false, pattern: MEDIA_TYPE.source, example: 'image/png' })
  media_type?: string;

  /** Base64. All of a prompt have at most 5 MiB, decoded. */
  @ApiProperty({ required: false, format: 'byte', example: 'iVBORw0KGgo=' })
  data?: string;
}

@ApiSchema({ name: 'CreatePrompt' })
export class CreatePromptRequest {
  /** What the agent is to do next. */
  @IsText(TEXT)
  @ApiProperty({ example: 'Use a map instead of the two loops.' })
  text: string;

  /** Files and images besides. */
  @MayBeAbsent()
  @Check('areAttachments', attachmentsProblem)
  @ApiProperty({
    ...{ required: false, type: () => NewAttachmentDto, isArray: true, maxItems: MAX_ATTACHMENTS },
    example: [{ name: 'design.md', path: 'docs/design.md' }],
  })
  attachments?: PromptAttachment[];

  /** Cancels what the agent is at, instead of waiting for the end of its turn. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false, default: false, example: false })
  interrupt?: boolean;
}

/** Which part of the list. */
export class ListPromptsRequest {
  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 200 })
  @ApiProperty({ required: false })
  limit: number = 50;

  /** How many to skip. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: MAX_OFFSET })
  @ApiProperty({ required: false })
  offset: number = 0;
}

@ApiSchema({ name: 'PromptAttachment' })
export class AttachmentDto {
  @ApiProperty({ example: 'screenshot.png' })
  name: string;

  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  path: string | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: 'image/png' })
  media_type: string | null;

  /** In bytes, of what came along; null for a path. */
  @ApiProperty({ ...COUNT, example: 48_213 })
  size: number | null;
}

/** One prompt turn: what an agent was asked to do, and how that went. */
@ApiSchema({ name: 'Prompt' })
export class PromptDto implements PromptView {
  @ApiProperty({ format: 'uuid', example: PROMPT })
  id: string;

  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  /** The run whose agent it was sent to; null while it waits. */
  @ApiProperty({ ...NULLABLE_UUID, example: RUN })
  run_id: string | null;

  @ApiProperty({ ...NULLABLE_UUID, example: AGENT })
  agent_id: string | null;

  /** `first` is made of the task itself. */
  @ApiProperty({ enum: PROMPT_KINDS, enumName: 'PromptKind', example: 'follow_up' })
  kind: PromptKind;

  @ApiProperty({ example: 'Use a map instead of the two loops.' })
  text: string;

  /** Without their bytes. */
  @ApiProperty({ type: [AttachmentDto] })
  attachments: AttachmentDto[];

  @ApiProperty({ example: false })
  interrupt: boolean;

  @ApiProperty({ enum: PROMPT_STATES, enumName: 'PromptState', example: 'COMPLETED' })
  state: PromptState;

  /** The agent's word for how its turn ended: `end_turn`, `cancelled`, `refusal` … */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'end_turn' })
  stop_reason: string | null;

  /** Why it came to nothing, in words. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  failure: string | null;

  /** Null where the agent does not tell. */
  @ApiProperty({ ...COUNT, example: 5210 })
  tokens_in: number | null;

  @ApiProperty({ ...COUNT, example: 840 })
  tokens_out: number | null;

  @ApiProperty({ type: 'number', nullable: true, example: 0.042 })
  cost_usd: number | null;

  /** Null for the server itself, and when that account is gone. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  requested_by: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;

  @ApiProperty({ ...NULLABLE_TIME, example: TIME })
  sent_at: string | null;

  @ApiProperty({ ...NULLABLE_TIME, example: LATER })
  ended_at: string | null;
}

@ApiSchema({ name: 'PromptList' })
export class PromptListDto {
  @ApiProperty({ type: [PromptDto] })
  prompts: PromptDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  total: number;
}
