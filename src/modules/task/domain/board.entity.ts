import { defineEntity, p } from '@mikro-orm/postgresql';

export const BoardSchema = defineEntity({
  name: 'Board',
  tableName: 'boards',
  properties: {
    id: p.uuid().primary().defaultRaw('gen_random_uuid()'),
    name: p.string().length(255),
    description: p.text().nullable(),
    owner_id: p.uuid(),
    version: p.integer().version().default(1),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
  },
});

/** A kanban board. */
export class Board extends BoardSchema.class {}
BoardSchema.setClass(Board);

/** Who may do what: a viewer reads and streams, an editor also writes and runs, an owner also manages. */
export const BOARD_ROLES = ['owner', 'editor', 'viewer'] as const;
export type BoardRole = (typeof BOARD_ROLES)[number];

export const BoardMemberSchema = defineEntity({
  name: 'BoardMember',
  tableName: 'board_members',
  properties: {
    board_id: p.uuid().primary(),
    user_id: p.uuid().primary(),
    role: p.string().length(20).$type<BoardRole>(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [{ name: 'board_members_role_check', expression: "role in ('owner', 'editor', 'viewer')" }],
});

/** A user's place on a board. */
export class BoardMember extends BoardMemberSchema.class {}
BoardMemberSchema.setClass(BoardMember);
