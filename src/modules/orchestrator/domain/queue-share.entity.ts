import { defineEntity, p } from '@mikro-orm/postgresql';

export const BoardShareSchema = defineEntity({
  name: 'BoardShare',
  tableName: 'board_shares',
  properties: {
    board_id: p.uuid().primary(),
    /** Service it has had, in claims divided by its weight; the least is next. */
    pass: p.double(),
    /** What `pass` was at its last turn: the highest of all is where the service is now. */
    turn_pass: p.double().default(0),
    /** The same of its users: the highest of their `turn_pass`. */
    user_service: p.double().default(0),
    /** Where the passes are equal the lowest is next: drawn when it begins to wait, and with each turn. */
    place: p.bigint().defaultRaw('0'),
    /** Has queued runs. May be true without; never for long false with. */
    waiting: p.boolean().default(true),
  },
});

/** How far the queue has served a board. */
export class BoardShare extends BoardShareSchema.class {}
BoardShareSchema.setClass(BoardShare);

export const UserShareSchema = defineEntity({
  name: 'UserShare',
  tableName: 'user_shares',
  properties: {
    board_id: p.uuid().primary(),
    /** Who has asked for the runs; all zeros for those who were deleted. */
    user_id: p.uuid().primary(),
    pass: p.double(),
    turn_pass: p.double().default(0),
    place: p.bigint().defaultRaw('0'),
    waiting: p.boolean().default(true),
  },
});

/** How far the queue has served a user of a board. */
export class UserShare extends UserShareSchema.class {}
UserShareSchema.setClass(UserShare);
