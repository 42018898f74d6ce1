import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import type { RunLimitView } from '../app/run-limits.queries.js';
import { LIMIT_SCOPES, type LimitScope } from '../domain/run-limit.entity.js';
import { NULLABLE_UUID, TIME, USER } from './run-fields.js';

const BOARD = '019ac1a5-7c1e-7000-8000-000000000004';
/** More than any server runs at once. */
const MOST = 1_000_000;
const HEAVIEST = 1_000;

/** A whole number, or null for none. */
function IsNumberOrNull({ min, max }: { min: number; max: number }): PropertyDecorator {
  const problemOf = (value: unknown): string | undefined => {
    const isRight = Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
    return value === null || isRight ? undefined : `must be a whole number from ${min} to ${max}, or null`;
  };
  return Check('isNumberOrNull', problemOf, { type: 'integer', minimum: min, maximum: max, nullable: true });
}

@ApiSchema({ name: 'SetRunLimit' })
export class SetRunLimitRequest {
  /** Runs that may hold a place at once; none: as many as like. 0 stops new ones. */
  @MayBeAbsent()
  @IsNumberOrNull({ min: 0, max: MOST })
  @ApiProperty({ required: false, example: 3 })
  max_running?: number | null;

  /** Of a board or a user: how much of the queue's service it gets beside others, which have 1 where nothing is said. */
  @MayBeAbsent()
  @IsNumberOrNull({ min: 1, max: HEAVIEST })
  @ApiProperty({ required: false, example: 2 })
  weight?: number | null;
}

export class RunLimitsQuery {
  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 200 })
  @ApiProperty({ required: false, example: 50 })
  limit: number = 50;

  /** How many to skip. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: 1_000_000 })
  @ApiProperty({ required: false, example: 0 })
  offset: number = 0;
}

@ApiSchema({ name: 'RunLimit' })
export class RunLimitDto implements RunLimitView {
  @ApiProperty({ enum: LIMIT_SCOPES, enumName: 'LimitScope', example: 'board' })
  scope: LimitScope;

  /** Id of the host, board or user, name of the agent type; `*`: each of the scope that has no limit of its own. */
  @ApiProperty({ example: BOARD })
  subject: string;

  /** Null for `*`, and for what was deleted since. */
  @ApiProperty({ nullable: true, type: String, example: 'Website' })
  name: string | null;

  /** Runs that may hold a place at once; null: as many as like. */
  @ApiProperty({ type: 'integer', nullable: true, example: 3 })
  max_running: number | null;

  /** Of a board or a user; null is as good as 1. */
  @ApiProperty({ type: 'integer', nullable: true, example: 2 })
  weight: number | null;

  /** Runs that hold a place now; null where each of the scope has a number of its own. */
  @ApiProperty({ type: 'integer', nullable: true, example: 1 })
  running: number | null;

  /** Who has set it; null when that user was deleted since. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  updated_by: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  updated_at: string;
}

@ApiSchema({ name: 'RunLimitList' })
export class RunLimitListDto {
  /** By scope and subject. */
  @ApiProperty({ type: [RunLimitDto] })
  limits: RunLimitDto[];

  /** Of all that you may see. */
  @ApiProperty({ type: 'integer', example: 4 })
  total: number;
}
