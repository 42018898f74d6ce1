import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsOptional, ValidateNested } from 'class-validator';
import { Check } from '../validation/check.decorator.js';
import { IsWholeNumber } from '../validation/fields.decorator.js';
import type { FailureCode } from './failure-codes.js';
import {
  BACKOFF_SECONDS,
  MAX_ATTEMPTS,
  MAX_BACKOFF_SECONDS,
  RETRYABLE_CODES,
  type RetryPolicy,
} from './retry-policy.js';

const EXAMPLE = { max_attempts: 5, backoff_seconds: 30, max_backoff_seconds: 900, retry_on: null };
const NULLABLE = { nullable: true, required: false } as const;
const CODES = { enum: RETRYABLE_CODES, enumName: 'RetryableFailure', isArray: true, nullable: true } as const;

/** When a failed attempt is tried again. What is null or absent is left to the agent type, then to the server. */
@ApiSchema({ name: 'SetRetryPolicy' })
export class RetryPolicyRequest implements Partial<RetryPolicy> {
  /** How many attempts a run may have in all; 1 never tries again. */
  @IsOptional()
  @IsWholeNumber(MAX_ATTEMPTS)
  @ApiProperty({ ...NULLABLE, type: 'integer', example: EXAMPLE.max_attempts })
  max_attempts?: number | null;

  /** Seconds that the second attempt waits, give or take a part of chance; each later one waits twice as long. */
  @IsOptional()
  @IsWholeNumber(BACKOFF_SECONDS)
  @ApiProperty({ ...NULLABLE, type: 'integer', example: EXAMPLE.backoff_seconds })
  backoff_seconds?: number | null;

  /** Seconds that no attempt waits longer than, whatever its number. */
  @IsOptional()
  @IsWholeNumber(MAX_BACKOFF_SECONDS)
  @ApiProperty({ ...NULLABLE, type: 'integer', example: EXAMPLE.max_backoff_seconds })
  max_backoff_seconds?: number | null;

  /** Codes of the failures that are tried again, instead of those that are by default. */
  @IsOptional()
  @Check('areFailureCodes', codesProblem)
  @ApiProperty({ ...CODES, required: false, uniqueItems: true, example: ['agent.exit_code', 'agent.lost'] })
  retry_on?: FailureCode[] | null;
}

/** When a failed attempt is tried again; null leaves a field to the agent type, then to the server's settings. */
@ApiSchema({ name: 'RetryPolicy' })
export class RetryPolicyDto implements RetryPolicy {
  /** How many attempts a run may have in all. */
  @ApiProperty({ type: 'integer', nullable: true, example: EXAMPLE.max_attempts })
  max_attempts: number | null;

  /** Seconds that the second attempt waits; each later one waits twice as long. */
  @ApiProperty({ type: 'integer', nullable: true, example: EXAMPLE.backoff_seconds })
  backoff_seconds: number | null;

  /** Seconds that no attempt waits longer than. */
  @ApiProperty({ type: 'integer', nullable: true, example: EXAMPLE.max_backoff_seconds })
  max_backoff_seconds: number | null;

  /** The failures that are tried again; null: those that are by default. */
  @ApiProperty({ ...CODES, example: EXAMPLE.retry_on })
  retry_on: FailureCode[] | null;
}

/** A retry policy in a request: absent or null leaves it to the next one who says something. */
export function IsRetryPolicy(): PropertyDecorator {
  return applyDecorators(
    IsOptional(),
    Check('isObject', (value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'must be an object',
    ),
    ValidateNested(),
    Type(() => RetryPolicyRequest),
    ApiProperty({ ...NULLABLE, type: () => RetryPolicyRequest, example: EXAMPLE }),
  );
}

/** What an answer has of it. */
export const ShowsRetryPolicy = (): PropertyDecorator =>
  ApiProperty({ nullable: true, type: () => RetryPolicyDto, example: EXAMPLE });

function codesProblem(value: unknown): string | undefined {
  const known: readonly unknown[] = RETRYABLE_CODES;
  if (!Array.isArray(value) || !value.every((code) => known.includes(code)))
    return `must be a list of ${RETRYABLE_CODES.join(', ')}`;
  return new Set(value).size === value.length ? undefined : 'must not have a code twice';
}
