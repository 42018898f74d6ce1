import { defineEntity, p } from '@mikro-orm/postgresql';
import type { DialogueOpening, SessionPhase } from '../contracts/dialogue.types.js';
import type { DialogueState } from './dialogue/state.js';

export const AgentSessionSchema = defineEntity({
  name: 'AgentSession',
  tableName: 'agent_sessions',
  properties: {
    /** The instance whose dialogue it is; one for each attempt. */
    agent_id: p.uuid().primary(),
    task_id: p.uuid(),
    board_id: p.uuid(),
    run_id: p.uuid(),
    /** Where the agent's home is, and with it what a session can be loaded from. */
    host_id: p.uuid().nullable(),
    agent_type: p.string().length(100),
    /** What it begins with. */
    opening: p.json<DialogueOpening>(),
    /** The task as a prompt: for an agent that knows nothing of it. */
    first_prompt: p.text(),
    /** Of the dialogue, all that it goes on from. */
    state: p.json<DialogueState>(),
    /** Of the state, for those who look. */
    phase: p.string().length(20).$type<SessionPhase>(),
    /** The agent's own name of the session; null until it is open. */
    session_id: p.string().length(500).nullable(),
    /** What was sent, or is about to be: how many frames, and bytes with their newlines. */
    frames: p.integer().default(0),
    bytes: p.bigint('number').defaultRaw('0'),
    /** What is kept of it word for word, in characters; see {@link KeptFrame}. */
    kept_bytes: p.bigint('number').defaultRaw('0'),
    /** When the dialogue wants to be asked again, whatever happens until then. */
    wake_at: p.datetime(3).nullable(),
    opened_at: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** The dialogue with the agent of one attempt. */
export class AgentSession extends AgentSessionSchema.class {}
AgentSessionSchema.setClass(AgentSession);

export const SessionFrameSchema = defineEntity({
  name: 'SessionFrame',
  tableName: 'session_frames',
  properties: {
    agent_id: p.uuid().primary(),
    /** 1, 2, 3 … */
    n: p.integer().primary(),
    /** Where it begins in what the agent reads. */
    at_byte: p.bigint('number'),
    /** JSON, without its newline. */
    line: p.text(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** One frame to an agent, whether it was written to it by now or not. */
export class SessionFrame extends SessionFrameSchema.class {}
SessionFrameSchema.setClass(SessionFrame);
