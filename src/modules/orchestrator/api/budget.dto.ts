import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { ValidateIf } from 'class-validator';
import { Check } from '../../../common/validation/check.decorator.js';
import { IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import type { BudgetView } from '../app/budget.queries.js';
import {
  BUDGET_PERIODS,
  BUDGET_SCOPES,
  type Amounts,
  type BudgetLimits,
  type BudgetPeriod,
  type BudgetScope,
} from '../domain/budget.js';
import { NULLABLE_UUID, TIME, USER } from './run-fields.js';

/** Far above anything that can be used, and exact as a number. */
const MOST = 1e15;
const MOST_USD = 1e9;
const MICRO = 1e6;
const NO_LIMIT = { required: false, nullable: true, default: null } as const;
const LIMIT = { type: 'integer', nullable: true } as const;

const MayBeNull = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined && value !== null);

/** Dollars; kept to the sixth digit behind the point. */
function IsMoney(): PropertyDecorator {
  const isRight = (value: unknown) => typeof value === 'number' && value >= 0 && value <= MOST_USD;
  return Check('isMoney', (value) => (isRight(value) ? undefined : `must be a number from 0 to ${MOST_USD}`), {
    type: 'number',
    minimum: 0,
    maximum: MOST_USD,
  });
}

@ApiSchema({ name: 'SetBudget' })
export class SetBudgetRequest {
  /** Time that agents run, pauses not counted. */
  @MayBeNull()
  @IsWholeNumber({ min: 0, max: MOST })
  @ApiProperty({ ...NO_LIMIT, example: 3600 })
  wall_clock_seconds?: number | null;

  /** What agents write, as it is stored. */
  @MayBeNull()
  @IsWholeNumber({ min: 0, max: MOST })
  @ApiProperty({ ...NO_LIMIT, example: 100_000_000 })
  output_bytes?: number | null;

  /** Of the agents themselves; the server's about them are free. */
  @MayBeNull()
  @IsWholeNumber({ min: 0, max: MOST })
  @ApiProperty({ ...NO_LIMIT, example: 10_000 })
  messages?: number | null;

  /** Input and output together, as agents tell of them in `data.usage`. */
  @MayBeNull()
  @IsWholeNumber({ min: 0, max: MOST })
  @ApiProperty({ ...NO_LIMIT, example: 2_000_000 })
  tokens?: number | null;

  /** As agents tell of it in `data.usage`. */
  @MayBeNull()
  @IsMoney()
  @ApiProperty({ ...NO_LIMIT, example: 25 })
  cost_usd?: number | null;
}

/** All limits of the request. @throws DomainError `request.invalid` where there is none: then DELETE is meant */
export function limitsOf(request: SetBudgetRequest): BudgetLimits {
  const { wall_clock_seconds = null, output_bytes = null, messages = null, tokens = null, cost_usd = null } = request;
  const money = cost_usd === null ? null : Math.round(cost_usd * MICRO) / MICRO;
  const limits = { wall_clock_seconds, output_bytes, messages, tokens, cost_usd: money };
  if (Object.values(limits).some((limit) => limit !== null)) return limits;
  throw invalidRequest([{ field: 'body', message: 'must set at least one limit; DELETE takes the budget away' }]);
}

@ApiSchema({ name: 'BudgetUsed' })
export class BudgetUsedDto implements Amounts {
  @ApiProperty({ type: 'number', example: 1200.5 })
  wall_clock_seconds: number;

  @ApiProperty({ type: 'integer', example: 45_000_000 })
  output_bytes: number;

  @ApiProperty({ type: 'integer', example: 4200 })
  messages: number;

  @ApiProperty({ type: 'integer', example: 900_000 })
  tokens: number;

  @ApiProperty({ type: 'number', example: 11.25 })
  cost_usd: number;
}

@ApiSchema({ name: 'Budget' })
export class BudgetDto implements BudgetView {
  @ApiProperty({ enum: BUDGET_SCOPES, enumName: 'BudgetScope', example: 'board' })
  scope: BudgetScope;

  /** `run`: each run by itself; `total`: all runs ever; `day`: the runs' attempts that began on one day (UTC). */
  @ApiProperty({ enum: BUDGET_PERIODS, enumName: 'BudgetPeriod', example: 'day' })
  period: BudgetPeriod;

  /** Null: no limit. */
  @ApiProperty({ ...LIMIT, example: 3600 })
  wall_clock_seconds: number | null;

  @ApiProperty({ ...LIMIT, example: null })
  output_bytes: number | null;

  @ApiProperty({ ...LIMIT, example: null })
  messages: number | null;

  @ApiProperty({ ...LIMIT, example: 2_000_000 })
  tokens: number | null;

  @ApiProperty({ type: 'number', nullable: true, example: 25 })
  cost_usd: number | null;

  /** By now, with what runs; null for a budget of each run. */
  @ApiProperty({ type: BudgetUsedDto, nullable: true })
  used: BudgetUsedDto | null;

  /** Nothing starts until it is raised or, of a day, the day is over. Of each run: one of the limits is 0. */
  @ApiProperty({ example: false })
  used_up: boolean;

  /** Null when that account is gone. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  updated_by: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  updated_at: string;
}

@ApiSchema({ name: 'BudgetList' })
export class BudgetListDto {
  @ApiProperty({ type: [BudgetDto] })
  budgets: BudgetDto[];
}
