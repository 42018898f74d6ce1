import { defineEntity, p } from '@mikro-orm/postgresql';

export const FRAME_DIRECTIONS = ['received', 'sent'] as const;
/** As the server sees it. */
export type FrameDirection = (typeof FRAME_DIRECTIONS)[number];

export const KeptFrameSchema = defineEntity({
  name: 'KeptFrame',
  tableName: 'session_kept_frames',
  properties: {
    id: p.bigint('number').primary().autoincrement(),
    agent_id: p.uuid(),
    direction: p.string().length(10).$type<FrameDirection>(),
    /** Without secrets and its newline; its beginning where it is long. */
    line: p.text(),
    /** Of the whole line. */
    bytes: p.bigint('number'),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [{ name: 'session_kept_frames_direction_check', expression: "direction in ('received', 'sent')" }],
});

/** A line between an agent and the server, as it was: kept only where an administrator has asked for it. */
export class KeptFrame extends KeptFrameSchema.class {}
KeptFrameSchema.setClass(KeptFrame);
