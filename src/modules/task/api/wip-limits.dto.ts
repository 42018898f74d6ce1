import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';

/** More than anybody can look at in one column; there it is no limit of work in progress any more. */
const MAX_TASKS = 100_000;

/** A whole number, or null. */
const IsWipLimit = (): PropertyDecorator =>
  Check(
    'isWipLimit',
    (value) => {
      const isRight = Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TASKS;
      return value === null || isRight ? undefined : `must be a whole number from 0 to ${MAX_TASKS}, or null`;
    },
    { type: 'integer', minimum: 0, maximum: MAX_TASKS, nullable: true },
  );

/** How many tasks each column takes. What is absent stays as it is; null takes the limit away, 0 closes the column. */
@ApiSchema({ name: 'SetWipLimits' })
export class SetWipLimitsRequest {
  @MayBeAbsent()
  @IsWipLimit()
  @ApiProperty({ example: null })
  TODO?: number | null;

  /** Runs whose task would be one too many wait in the queue. */
  @MayBeAbsent()
  @IsWipLimit()
  @ApiProperty({ example: 3 })
  IN_PROGRESS?: number | null;

  @MayBeAbsent()
  @IsWipLimit()
  @ApiProperty({ example: null })
  BLOCKED?: number | null;
}
