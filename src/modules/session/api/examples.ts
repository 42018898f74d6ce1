// What the DTOs of sessions tell the API document again and again: examples, and the shapes of fields.

export const BOARD = '019ac1a5-7c1e-7000-8000-000000000004';
export const TASK = '019ac1a5-7c1e-7000-8000-000000000000';
export const RUN = '019ac1a5-7c1e-7000-8000-000000000001';
export const AGENT = '019ac1a5-7c1e-7000-8000-000000000002';
export const USER = '019ac1a5-7c1e-7000-8000-000000000003';
export const PROMPT = '019ac1a5-7c1e-7000-8000-000000000005';
export const APPROVAL = '019ac1a5-7c1e-7000-8000-000000000006';
export const TIME = '2026-11-28T12:00:00.000Z';
export const LATER = '2026-11-28T12:00:20.000Z';

export const NULLABLE_UUID = { format: 'uuid', nullable: true, type: String } as const;
export const NULLABLE_TIME = { format: 'date-time', nullable: true, type: String } as const;
export const NULLABLE_TEXT = { nullable: true, type: String } as const;
