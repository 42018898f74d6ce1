import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsListOf, IsText, IsUuidText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import type { PermissionRequestView } from '../app/permission-requests.queries.js';
import {
  PERMISSION_OUTCOMES,
  PERMISSION_STATES,
  type PermissionOption,
  type PermissionOutcome,
  type PermissionState,
} from '../domain/permission-request.entity.js';
import {
  AGENT,
  APPROVAL,
  BOARD,
  LATER,
  NULLABLE_TEXT,
  NULLABLE_TIME,
  NULLABLE_UUID,
  RUN,
  TASK,
  TIME,
  USER,
} from './examples.js';

const MAX_OPTION_ID = 500; // as agents may name them
const STATES = { enum: PERMISSION_STATES, enumName: 'ApprovalState' } as const;
const TOOL_CALL = { tool_call_id: 'call-1', kind: 'edit', title: 'Write src/sum.ts', status: 'pending' };

/** Which permission requests, and which part of the list. */
export class ListApprovalsRequest extends PageQuery {
  /** Only those on this board. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: BOARD })
  board_id?: string;

  /** Only those of this task. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: TASK })
  task_id?: string;

  /** Only those in these states, separated by commas. */
  @MayBeAbsent()
  @IsListOf(PERMISSION_STATES)
  @ApiProperty({ ...STATES, isArray: true, required: false, default: ['PENDING'], example: ['PENDING'] })
  state?: PermissionState[];
}

@ApiSchema({ name: 'AnswerApproval' })
export class AnswerApprovalRequest {
  /** `option_id` of one of its options. */
  @IsText({ min: 1, max: MAX_OPTION_ID })
  @ApiProperty({ example: 'proceed_once' })
  option_id: string;
}

@ApiSchema({ name: 'ApprovalOption' })
export class ApprovalOptionDto implements PermissionOption {
  @ApiProperty({ example: 'proceed_once' })
  option_id: string;

  @ApiProperty({ example: 'Allow once' })
  name: string;

  /** `allow_once`, `allow_always`, `reject_once`, `reject_always`, or what the agent says. */
  @ApiProperty({ example: 'allow_once' })
  kind: string;
}

/** What an agent may not do, or does not know, without somebody's word. */
@ApiSchema({ name: 'Approval' })
export class ApprovalDto implements PermissionRequestView {
  @ApiProperty({ format: 'uuid', example: APPROVAL })
  id: string;

  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ format: 'uuid', example: BOARD })
  board_id: string;

  @ApiProperty({ format: 'uuid', example: RUN })
  run_id: string;

  @ApiProperty({ format: 'uuid', example: AGENT })
  agent_id: string;

  /** What the agent wants, in its words. */
  @ApiProperty({ example: 'Write src/sum.ts' })
  title: string;

  /** As the Agent Client Protocol names them: `edit`, `execute` … */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'edit' })
  tool_kind: string | null;

  /** Which files it is about, as the agent says. */
  @ApiProperty({ type: [String], example: ['/workspace/src/sum.ts'] })
  paths: string[];

  /** All that is known of the tool call; see the tool calls on the stream. */
  @ApiProperty({ type: 'object', additionalProperties: true, example: TOOL_CALL })
  tool_call: Record<string, unknown>;

  /** The answers that the agent takes. */
  @ApiProperty({ type: [ApprovalOptionDto] })
  options: ApprovalOptionDto[];

  @ApiProperty({ ...STATES, example: 'ANSWERED' })
  state: PermissionState;

  /** The answer; null where there is none, or it is only that there is none. */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'proceed_once' })
  option_id: string | null;

  /** What it came to for the agent; null while it waits. */
  @ApiProperty({ enum: PERMISSION_OUTCOMES, enumName: 'ApprovalOutcome', nullable: true, example: 'allowed' })
  outcome: PermissionOutcome | null;

  /** Null where a policy, the time or the agent's end has decided, and when that account is gone. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  answered_by: string | null;

  /** Which policy, or what else, has decided instead of a person. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  reason: string | null;

  /** When it is denied if nobody answers. */
  @ApiProperty({ ...NULLABLE_TIME, example: LATER })
  expires_at: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;

  @ApiProperty({ ...NULLABLE_TIME, example: LATER })
  answered_at: string | null;
}

@ApiSchema({ name: 'ApprovalList' })
export class ApprovalListDto {
  @ApiProperty({ type: [ApprovalDto] })
  approvals: ApprovalDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** For `cursor`; null on the last page. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  next_cursor: string | null;
}
