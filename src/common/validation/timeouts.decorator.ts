import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { IsWholeNumber } from './fields.decorator.js';

/** A week of silence: whoever needs longer needs no limit, and the wall clock ends it. As the server's own setting. */
export const INACTIVITY_SECONDS = { min: 1, max: 604_800 } as const;
/** A year. As the server's own setting. */
export const WALL_CLOCK_SECONDS = { min: 1, max: 31_536_000 } as const;

/** Seconds that an agent may be silent; null or absent leaves it to the next one who says something. */
export const IsInactivityTimeout = (): PropertyDecorator => optionalSeconds(INACTIVITY_SECONDS, 1_800);

/** Seconds that an agent may run; null or absent leaves it to the next one who says something. */
export const IsWallClockTimeout = (): PropertyDecorator => optionalSeconds(WALL_CLOCK_SECONDS, 14_400);

function optionalSeconds(range: { min: number; max: number }, example: number): PropertyDecorator {
  return applyDecorators(
    IsOptional(),
    IsWholeNumber(range),
    ApiProperty({ required: false, nullable: true, type: 'integer', example }),
  );
}
