import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsUuidText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import type { RescueView } from '../app/rescue.queries.js';
import { RESCUE_REASONS, type RescueReason } from '../domain/rescue.entity.js';
import { LeftOutDto, SHA } from './changes.dto.js';

const ID = '019ac1a5-7c1e-7000-8000-000000000004';

/** Which rescues, and which part of the list. */
export class ListRescuesRequest extends PageQuery {
  /** What was rescued from this task. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: ID })
  task_id?: string;

  /** What was rescued from tasks of this board. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: ID })
  board_id?: string;
}

/** Where rescued work goes to. */
export class RestoreRequest {
  /** Another task than the one it was rescued from (administrators). */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: ID })
  task_id?: string;
}

@ApiSchema({ name: 'Rescue' })
export class RescueDto implements RescueView {
  @ApiProperty({ format: 'uuid', example: '0bd3a8f2-5f0d-5b7e-9a52-0f6f2f1f0c11' })
  id: string;

  @ApiProperty({ format: 'uuid', example: ID })
  task_id: string;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000002' })
  board_id: string;

  @ApiProperty({ type: 'string', nullable: true, example: 'https://github.com/example/cart.git' })
  repository_url: string | null;

  /** Why the workspace went. */
  @ApiProperty({ enum: RESCUE_REASONS, enumName: 'RescueReason', example: 'retention' })
  reason: RescueReason;

  /** Who wanted it; null for the server itself. */
  @ApiProperty({ type: 'string', format: 'uuid', nullable: true, example: null })
  requested_by: string | null;

  /** What the workspace was made from. */
  @ApiProperty({ type: 'string', nullable: true, example: SHA })
  base_commit: string | null;

  @ApiProperty({ example: SHA })
  commit: string;

  @ApiProperty({ type: 'integer', example: 42 })
  files: number;

  @ApiProperty({ type: 'integer', example: 123_456 })
  bytes: number;

  /** What it does not have. */
  @ApiProperty({ type: [LeftOutDto] })
  left_out: LeftOutDto[];

  /** When it was last brought back. */
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true, example: null })
  restored_at: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;
}

@ApiSchema({ name: 'RescueList' })
export class RescueListDto {
  @ApiProperty({ type: [RescueDto] })
  rescues: RescueDto[];

  /** Of all rescues that pass the filters. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  next_cursor: string | null;
}

@ApiSchema({ name: 'WorkspaceRemoval' })
export class RemovalDto {
  /** What was rescued; null where nothing was there that a remote does not have. */
  @ApiProperty({ type: RescueDto, nullable: true })
  rescue: RescueDto | null;
}
