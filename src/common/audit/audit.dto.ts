import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../validation/check.decorator.js';
import { IsOneOf, IsUuidText } from '../validation/fields.decorator.js';
import { PageQuery } from '../validation/page.dto.js';
import { IsTime } from '../validation/query-fields.decorator.js';
import { AUDIT_ACTIONS, type AuditAction } from './audit-log.js';
import type { AuditRecord } from './audit.queries.js';

const USER_ID = '019ac1a5-7c1e-7000-8000-000000000001';
const NULLABLE_UUID = { type: 'string', format: 'uuid', nullable: true } as const;
const NULLABLE_TEXT = { type: 'string', nullable: true } as const;

/** Which lines of the audit log, and which part of the list. */
export class ListAuditRequest extends PageQuery {
  /** What was done. */
  @MayBeAbsent()
  @IsOneOf(AUDIT_ACTIONS)
  @ApiProperty({ required: false, enumName: 'AuditAction', example: 'auth.sign_in_failed' })
  action?: AuditAction;

  /** Who did it. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: USER_ID })
  user_id?: string;

  /** What it was done to. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: USER_ID })
  subject_id?: string;

  /** From this moment on. */
  @MayBeAbsent()
  @IsTime()
  @ApiProperty({ required: false, example: '2026-11-22T00:00:00Z' })
  created_after?: string;

  /** Before this moment. */
  @MayBeAbsent()
  @IsTime()
  @ApiProperty({ required: false, example: '2026-11-23T00:00:00Z' })
  created_before?: string;
}

@ApiSchema({ name: 'AuditEvent' })
export class AuditEventDto implements AuditRecord {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000009' })
  id: string;

  @ApiProperty({ enum: [...AUDIT_ACTIONS], enumName: 'AuditAction', example: 'user.role_changed' })
  action: AuditAction;

  /** Who did it; with no user and no agent it was somebody unknown, or the server itself. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER_ID })
  user_id: string | null;

  /** The key that was used. */
  @ApiProperty({ ...NULLABLE_UUID, example: null })
  api_key_id: string | null;

  /** The agent instance that did it. */
  @ApiProperty({ ...NULLABLE_UUID, example: null })
  agent_id: string | null;

  /** What it was done to. */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'user' })
  subject_type: string | null;

  @ApiProperty({ ...NULLABLE_UUID, example: USER_ID })
  subject_id: string | null;

  /** Where the request came from. */
  @ApiProperty({ ...NULLABLE_TEXT, example: '192.0.2.7' })
  address: string | null;

  /** Finds the request in the server's log. */
  @ApiProperty({ ...NULLABLE_TEXT, example: '019ac1a5-7c1e-7000-8000-0000000000ff' })
  correlation_id: string | null;

  /** More about it, by action. */
  @ApiProperty({ type: 'object', additionalProperties: true, example: { from: 'member', to: 'admin' } })
  data: Record<string, unknown>;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;
}

@ApiSchema({ name: 'AuditEventList' })
export class AuditEventListDto {
  events: AuditEventDto[];

  /** Of all lines that pass the filters. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  next_cursor: string | null;
}
