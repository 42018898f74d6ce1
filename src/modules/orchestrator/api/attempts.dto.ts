import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { ATTEMPT_STATES, type AttemptRecord, type AttemptState, type RunAttempts } from '../app/attempt.queries.js';
import type { ParkReason } from '../contracts/run.types.js';
import { AGENT, LATER, NULLABLE_TEXT, NULLABLE_TIME, NULLABLE_UUID, PARKED_FOR, TASK, TIME } from './run-fields.js';

@ApiSchema({ name: 'RunAttempt' })
export class AttemptDto implements AttemptRecord {
  /** 1, 2, 3 … */
  @ApiProperty({ type: 'integer', example: 1 })
  attempt: number;

  /** At work, or how it has ended. `LOST`: its container or process vanished, and nobody saw it end. */
  @ApiProperty({ enum: ATTEMPT_STATES, enumName: 'AttemptState', example: 'FAILED' })
  state: AttemptState;

  /** Its agent instance; null where it did not get that far. */
  @ApiProperty({ ...NULLABLE_UUID, example: AGENT })
  agent_id: string | null;

  /** Where it ran. */
  @ApiProperty({ ...NULLABLE_UUID, example: TASK })
  host_id: string | null;

  /** Why it failed; stable. */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'image.unavailable' })
  failure_code: string | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: 'The image can not be pulled: the registry does not answer.' })
  failure_message: string | null;

  /** When it was taken from the queue. */
  @ApiProperty({ ...NULLABLE_TIME, example: TIME })
  claimed_at: string | null;

  @ApiProperty({ ...NULLABLE_TIME, example: LATER })
  ended_at: string | null;

  /** When the next attempt was due; null where there was to be none. */
  @ApiProperty({ ...NULLABLE_TIME, example: '2026-11-22T12:00:10.500Z' })
  retry_at: string | null;

  /** Why it was tried again, or not; null while it works. */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'Attempt 2 of 3: image.unavailable is tried again.' })
  retry_decision: string | null;
}

@ApiSchema({ name: 'RunAttempts' })
export class AttemptsDto implements RunAttempts {
  /** Oldest first, the one at work last. */
  @ApiProperty({ type: [AttemptDto] })
  attempts: AttemptDto[];

  /** How many the run may have in all; null for runs from before that was kept. */
  @ApiProperty({ type: 'integer', nullable: true, example: 3 })
  max_attempts: number | null;

  /** When the next one is due; null while one works, none is due, or it only waits for its turn in the queue. */
  @ApiProperty({ ...NULLABLE_TIME, example: '2026-11-22T12:00:10.500Z' })
  next_attempt_at: string | null;

  @ApiProperty({ ...PARKED_FOR, example: 'back_off' })
  parked_for: ParkReason | null;
}
