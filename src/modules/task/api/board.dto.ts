import { IsOptional } from 'class-validator';
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsText } from '../../../common/validation/fields.decorator.js';
import type { BoardRecord } from '../app/records.js';

const NAME = { min: 1, max: 255, trim: true };
const DESCRIPTION = { max: 10_000 };

export class CreateBoardRequest {
  @IsText(NAME)
  @ApiProperty({ example: 'Website' })
  name: string;

  @IsOptional()
  @IsText(DESCRIPTION)
  @ApiProperty({ example: 'All that has to do with the website', nullable: true })
  description?: string | null;
}

/** What is absent stays as it is; null empties. */
export class UpdateBoardRequest {
  @MayBeAbsent()
  @IsText(NAME)
  @ApiProperty({ example: 'Website' })
  name?: string;

  @IsOptional()
  @IsText(DESCRIPTION)
  @ApiProperty({ example: 'All that has to do with the website', nullable: true })
  description?: string | null;
}

@ApiSchema({ name: 'Board' })
export class BoardDto implements BoardRecord {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000002' })
  id: string;

  @ApiProperty({ example: 'Website' })
  name: string;

  @ApiProperty({ example: 'All that has to do with the website', nullable: true })
  description: string | null;

  /** The user who made it. */
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000001' })
  owner_id: string;

  /** Rises with each change; the ETag. */
  @ApiProperty({ type: 'integer', example: 1 })
  version: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  created_at: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T12:00:00.000Z' })
  updated_at: string;
}

@ApiSchema({ name: 'BoardList' })
export class BoardListDto {
  boards: BoardDto[];

  /** Of all boards you may see. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, example: null })
  next_cursor: string | null;
}
