import { TASK_STATES } from '../../task/contracts/task.types.js';
import { PARK_REASONS, RUN_STATES } from '../contracts/run.types.js';

// What the DTOs of runs tell the API document again and again: examples, and the shapes of fields.

export const TASK = '019ac1a5-7c1e-7000-8000-000000000000';
export const RUN = '019ac1a5-7c1e-7000-8000-000000000001';
export const AGENT = '019ac1a5-7c1e-7000-8000-000000000002';
export const USER = '019ac1a5-7c1e-7000-8000-000000000003';
export const TIME = '2026-11-22T12:00:00.000Z';
export const LATER = '2026-11-22T12:00:02.000Z';

export const RUN_STATE = { enum: RUN_STATES, enumName: 'RunState' } as const;
export const TASK_STATE = { enum: TASK_STATES, enumName: 'TaskState' } as const;
/** Why a queued run is not taken from the queue yet. */
export const PARKED_FOR = { enum: PARK_REASONS, enumName: 'ParkReason', nullable: true, example: null } as const;
export const NULLABLE_UUID = { format: 'uuid', nullable: true, type: String } as const;
export const NULLABLE_TIME = { format: 'date-time', nullable: true, type: String } as const;
export const NULLABLE_TEXT = { nullable: true, type: String } as const;
