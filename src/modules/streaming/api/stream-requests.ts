import { z } from 'zod';
import { LOG_LEVELS, MESSAGE_TYPES } from '../../../common/acp/acp-message.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { jsonObjectProblem } from '../../../common/validation/json-object.js';
import { INPUT_LIMITS } from '../../agent/contracts/agent-input.js';

const MAX_IDS = 1_000; // of one request; a connection may send more of them

/** How much faster than it was a run may be replayed: from a tenth, to watch closely, to an hour in some seconds. */
export const MIN_SPEED = 0.1;
export const MAX_SPEED = 1_000;
export const AT_SPEED = `must be a number from ${MIN_SPEED} to ${MAX_SPEED}`;

const id = z.guid('must be a UUID').toLowerCase();
const ids = z.array(id, 'must be a list of UUIDs').max(MAX_IDS, `must hold at most ${MAX_IDS} ids`);
const seq = z.int('must be a whole number').min(0, 'must be at least 0');
const positions = z
  .record(z.guid('must be a UUID'), seq, 'must map ids of tasks to sequence numbers')
  .refine((after) => Object.keys(after).length <= MAX_IDS, `must hold at most ${MAX_IDS} ids`)
  .transform((after) => Object.fromEntries(Object.entries(after).map(([key, value]) => [key.toLowerCase(), value])));

/** Which messages are wanted of what a request names. */
const filter = {
  types: z
    .array(z.enum(MESSAGE_TYPES, `must hold nothing but ${MESSAGE_TYPES.join(', ')}`), 'must be a list of types')
    .min(1, 'must hold at least one type')
    .max(100, 'must hold each type once')
    .optional(),
  min_level: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).optional(),
};
const names = { task_ids: ids.optional(), board_ids: ids.optional() };
const control = {
  action: z.string('must be a text').min(1).max(100),
  reason: z.string('must be a text').max(1_000, 'must hold at most 1000 characters').optional(),
  force: z.boolean('must be true or false').optional(),
  /** What an `input` tells the agent. */
  data: z
    .unknown()
    .superRefine((value, context) => {
      const message = jsonObjectProblem(value, INPUT_LIMITS);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .optional(),
};
/** Comes back in the answer, so that a client can tell its answers apart. */
const request_id = z.string('must be a text').max(100, 'must hold at most 100 characters').optional();

/** `subscribe` of Socket.IO. */
export const subscribeSchema = z.strictObject({ ...names, ...filter, after: positions.optional() });
/** `unsubscribe` of Socket.IO. */
export const unsubscribeSchema = z.strictObject(names);
/** `control` of Socket.IO. */
export const controlSchema = z.strictObject({ task_id: id, ...control });

const wsControl = z.strictObject({ type: z.literal('control'), task_id: id.optional(), ...control, request_id });
const wsSubscribe = subscribeSchema.extend({ action: z.literal('subscribe'), request_id });
const wsUnsubscribe = unsubscribeSchema.extend({ action: z.literal('unsubscribe'), request_id });

export type WsRequest = z.infer<typeof wsControl> | z.infer<typeof wsSubscribe> | z.infer<typeof wsUnsubscribe>;

/** The request in a text frame of the plain WebSocket. @throws DomainError `request.malformed`, `request.invalid` */
export function parseWsRequest(text: string): WsRequest {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    throw new DomainError('invalid', 'request.malformed', 'Send one JSON object a frame.');
  }
  const { type, action } = (typeof frame === 'object' && frame ? frame : {}) as { type?: unknown; action?: unknown };
  if (type === 'control') return parseRequest(wsControl, frame);
  if (action === 'subscribe') return parseRequest(wsSubscribe, frame);
  if (action === 'unsubscribe') return parseRequest(wsUnsubscribe, frame);
  const text_ = `Send "action": "subscribe" or "unsubscribe", or "type": "control".`;
  throw new DomainError('invalid', 'request.invalid', text_);
}

/** What the address of a plain WebSocket asks for; `after`, `at_speed` and `run_id` are of one task's stream. */
export const addressSchema = z.object({
  after: z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number of at least 0')
    .transform(Number)
    .optional(),
  batch: z.enum(['true', 'false'], 'must be true or false').default('false'),
  types: z
    .string()
    .transform((list) => list.split(','))
    .pipe(filter.types.unwrap())
    .optional(),
  min_level: filter.min_level,
  at_speed: z
    .string()
    .regex(/^\d{1,4}(\.\d{1,20})?$/, AT_SPEED)
    .transform(Number)
    .pipe(z.number().min(MIN_SPEED, AT_SPEED).max(MAX_SPEED, AT_SPEED))
    .optional(),
  run_id: id.optional(),
});

/** @throws DomainError `request.invalid`, with the fields that are wrong */
export function parseRequest<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({ field: issue.path.join('.'), message: issue.message }));
  throw new DomainError('invalid', 'request.invalid', 'The request is not valid.', { errors: errors.slice(0, 20) });
}
