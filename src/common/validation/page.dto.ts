import { ApiProperty } from '@nestjs/swagger';
import { Check, MayBeAbsent } from './check.decorator.js';
import { FromDigits, IsWholeNumber } from './fields.decorator.js';
import { textProblem } from './text.js';
import type { PageRequest } from './page.js';

const MAX_OFFSET = 1_000_000; // beyond, PostgreSQL would count rows for seconds; a cursor costs the same everywhere

/** Paging of a list, by offset or by cursor. */
export class PageQuery {
  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 200 })
  @ApiProperty({ required: false })
  limit: number = 50;

  /** How many to skip. For deep pages follow `next_cursor` instead. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: MAX_OFFSET })
  @ApiProperty({ required: false })
  offset: number = 0;

  /** `next_cursor` of the page before; without `offset`. */
  @MayBeAbsent()
  @Check('isCursor', cursorProblem, { example: 'MjAyNi0xMS0yMlQxMjowMDowMC4wMDBaIDAxOWE' })
  cursor?: string;
}

function cursorProblem(value: unknown, dto: object): string | undefined {
  if ((dto as PageQuery).offset > 0) return 'must not be used together with offset';
  return textProblem(value, { min: 1, max: 200, pattern: /^[\w-]+$/, pattern_message: 'must be a next_cursor' });
}

/** The part of the list that the query asks for. */
export function pageRequest({ limit, offset, cursor }: PageQuery): PageRequest {
  return { limit, offset, cursor: cursor ?? null };
}
