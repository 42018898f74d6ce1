import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsOneOf, IsUuidText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { USAGE_SUMS_BY, type UsageSumsBy, type UsageSumView } from '../app/usage-sums.query.js';
import { TASK } from './run-fields.js';
import { UsageQuery } from './usage.dto.js';

const BY = { enum: USAGE_SUMS_BY, enumName: 'UsageBy' } as const;
const NULLABLE_UUID = { format: 'uuid', nullable: true, type: String } as const;
const NULLABLE_NUMBER = { nullable: true } as const;
const MOST = 366; // days of a year, which are asked for at once

/** Whose usage, and what it is added up by. */
export class UsageSumsQuery extends UsageQuery {
  /** What it is added up by. */
  @MayBeAbsent()
  @IsOneOf(USAGE_SUMS_BY)
  @ApiProperty({ ...BY, required: false, default: 'day', example: 'task' })
  by?: UsageSumsBy;

  /** Only of this board. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: TASK })
  board_id?: string;

  /** Only of this task. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: TASK })
  task_id?: string;

  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: MOST })
  @ApiProperty({ required: false })
  limit: number = MOST;
}

@ApiSchema({ name: 'UsageSum' })
export class UsageSumDto {
  /** The day (UTC), or the id of the board, the task, the run or, of a turn, the prompt. */
  @ApiProperty({ example: '2026-11-26' })
  subject: string;

  /** Null of days. */
  @ApiProperty({ ...NULLABLE_UUID, example: null })
  board_id: string | null;

  /** Null of days and boards. */
  @ApiProperty({ ...NULLABLE_UUID, example: null })
  task_id: string | null;

  /** Time that the agents ran, without pauses; null of turns. */
  @ApiProperty({ ...NULLABLE_NUMBER, type: 'number', example: 61.5 })
  wall_clock_seconds: number | null;

  /** Null of turns. */
  @ApiProperty({ ...NULLABLE_NUMBER, type: 'integer', example: 45_000 })
  output_bytes: number | null;

  /** Null of turns. */
  @ApiProperty({ ...NULLABLE_NUMBER, type: 'integer', example: 420 })
  messages: number | null;

  @ApiProperty({ type: 'integer', example: 90_000 })
  input_tokens: number;

  @ApiProperty({ type: 'integer', example: 12_000 })
  output_tokens: number;

  @ApiProperty({ type: 'number', example: 1.25 })
  cost_usd: number;
}

@ApiSchema({ name: 'UsageSums' })
export class UsageSumsDto {
  @ApiProperty({ format: 'date', example: '2026-11-01' })
  from: string;

  @ApiProperty({ format: 'date', example: '2026-11-26' })
  to: string;

  @ApiProperty({ ...BY, example: 'day' })
  by: UsageSumsBy;

  /** Days oldest first, all else by what it has cost, then by its tokens. */
  @ApiProperty({ type: [UsageSumDto] })
  usage: UsageSumDto[];
}

export function toUsageSum({ wall_clock_ms, tokens_in, tokens_out, ...rest }: UsageSumView): UsageSumDto {
  const wall_clock_seconds = wall_clock_ms === null ? null : wall_clock_ms / 1000;
  return { ...rest, wall_clock_seconds, input_tokens: tokens_in, output_tokens: tokens_out };
}
