import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { IsOneOf } from '../../../common/validation/fields.decorator.js';
import type { BoardMemberRecord } from '../app/board-members.queries.js';
import { BOARD_ROLES, type BoardRole } from '../domain/board.entity.js';

@ApiSchema({ name: 'SetBoardMember' })
export class SetBoardMemberRequest {
  /** A viewer reads and streams, an editor also writes and runs, an owner also manages the board. */
  @IsOneOf(BOARD_ROLES)
  @ApiProperty({ enum: BOARD_ROLES, enumName: 'BoardRole', example: 'editor' })
  role: BoardRole;
}

@ApiSchema({ name: 'BoardMember' })
export class BoardMemberDto implements BoardMemberRecord {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000001' })
  user_id: string;

  @ApiProperty({ example: 'ann' })
  username: string;

  @ApiProperty({ enum: BOARD_ROLES, enumName: 'BoardRole', example: 'editor' })
  role: BoardRole;

  /** Since when they are a member. */
  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;
}

@ApiSchema({ name: 'BoardMemberList' })
export class BoardMemberListDto {
  members: BoardMemberDto[];

  /** Of all members of the board. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, example: null })
  next_cursor: string | null;
}
