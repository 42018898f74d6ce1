import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import type { UsageOfDay } from '../../agent/contracts/usage.queries.js';

const DAY = /^\d{4}-\d\d-\d\d$/;
const DAY_MS = 86_400_000;
const DAYS = 30; // where nothing is said
const MOST_DAYS = 366; // rows in one answer: days times agent types

function IsDay(): PropertyDecorator {
  const isRight = (value: unknown) =>
    typeof value === 'string' && DAY.test(value) && Date.parse(value) >= 0 && dayOf(Date.parse(value)) === value;
  return Check('isDay', (value) => (isRight(value) ? undefined : 'must be a day such as 2026-11-26, not before 1970'), {
    type: 'string',
    format: 'date',
  });
}

export class UsageQuery {
  /** The first day (UTC); 29 days before the last one when absent. */
  @MayBeAbsent()
  @IsDay()
  @ApiProperty({
    required: false,
    type: 'string',
    format: 'date',
    example: '2026-11-01',
    description: 'The first day (UTC); 29 days before the last one when absent.',
  })
  from?: string;

  /** The last day; today when absent. At most 366 days. */
  @MayBeAbsent()
  @IsDay()
  @ApiProperty({
    required: false,
    type: 'string',
    format: 'date',
    example: '2026-11-26',
    description: 'The last day, included; today when absent. At most 366 days in all.',
  })
  to?: string;
}

/** The days that are asked for. @throws DomainError `request.invalid` */
export function daysOf({ from, to }: UsageQuery): { from: string; to: string } {
  const last = Date.parse(to ?? dayOf(Date.now()));
  const first = from === undefined ? Math.max(0, last - (DAYS - 1) * DAY_MS) : Date.parse(from);
  if (first <= last && last - first < MOST_DAYS * DAY_MS) return { from: dayOf(first), to: dayOf(last) };
  throw invalidRequest([
    { field: 'from', message: `must be at most ${MOST_DAYS - 1} days before to, and not after it` },
  ]);
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

@ApiSchema({ name: 'UsageOfDay' })
export class UsageOfDayDto {
  /** The day (UTC) on which the attempts began. */
  @ApiProperty({ format: 'date', example: '2026-11-26' })
  day: string;

  @ApiProperty({ example: 'demo-agent' })
  agent_type: string;

  /** Time that the agents ran, without pauses. */
  @ApiProperty({ type: 'number', example: 61.5 })
  wall_clock_seconds: number;

  @ApiProperty({ type: 'integer', example: 45_000 })
  output_bytes: number;

  @ApiProperty({ type: 'integer', example: 420 })
  messages: number;

  @ApiProperty({ type: 'integer', example: 90_000 })
  input_tokens: number;

  @ApiProperty({ type: 'integer', example: 12_000 })
  output_tokens: number;

  @ApiProperty({ type: 'number', example: 1.25 })
  cost_usd: number;
}

@ApiSchema({ name: 'Usage' })
export class UsageDto {
  @ApiProperty({ format: 'date', example: '2026-11-01' })
  from: string;

  @ApiProperty({ format: 'date', example: '2026-11-26' })
  to: string;

  /** Oldest first; days without any are left out. */
  @ApiProperty({ type: [UsageOfDayDto] })
  usage: UsageOfDayDto[];
}

export function toUsageOfDay({ wall_clock_ms, tokens_in, tokens_out, ...rest }: UsageOfDay): UsageOfDayDto {
  return { ...rest, wall_clock_seconds: wall_clock_ms / 1000, input_tokens: tokens_in, output_tokens: tokens_out };
}
