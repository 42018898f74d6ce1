import type {
  CancelReason,
  DialogueOpening,
  SessionCapabilities,
  SessionFailure,
  SessionModes,
  SessionPhase,
  ToolCallView,
} from '../../contracts/dialogue.types.js';

/** A request of ours that has no answer yet. */
export interface OpenRequest {
  id: number;
  method: string;
  /** Of a change of mode. */
  mode_id: string | null;
}

/** A permission request that has no answer yet. */
export interface OpenPermission {
  key: string;
  /** The agent's id of its request, as JSON: text and number are two things. */
  id_json: string;
  option_ids: string[];
}

export interface AuthMethod {
  id: string;
  name: string;
  /** Variables that the agent says it reads. */
  variables: string[];
}

export interface TurnInFlight {
  prompt_id: string;
  n: number;
  cancelled_by: CancelReason | null;
}

export interface Money {
  amount: number;
  currency: string;
}

/** What the agent has made of us by now, in this attempt: it has its limits. */
export interface Spent {
  /** Bytes of its lines. */
  heard: number;
  /** Messages and permission requests, in characters as JSON. */
  told: number;
  /** Answers to its requests, without those that only say that an update came. */
  replies: number;
  /** All answers, in characters as JSON. */
  reply_bytes: number;
}

/** All that a dialogue goes on from: JSON, at most {@link MAX_STATE_BYTES}. Only the functions here look into it. */
export interface DialogueState {
  version: 1;
  phase: SessionPhase;
  /** The id of the next request of ours: none is ever used twice. */
  next_id: number;
  opening: DialogueOpening | null;
  requests: OpenRequest[];
  /** When the phase has lasted too long, or long enough; RFC 3339. */
  deadline: string | null;
  /** The latest end of settling. */
  settle_until: string | null;
  agent: { name: string; version: string | null } | null;
  capabilities: SessionCapabilities;
  auth_methods: AuthMethod[];
  session_id: string | null;
  modes: SessionModes | null;
  /** Updates of a loaded session's past. */
  replayed: number;
  turns: number;
  turn: TurnInFlight | null;
  last_turn: { stop_reason: string | null; failure: SessionFailure | null; cancelled: boolean } | null;
  /** What the chunks that come next go on with, if they are of the same kind and message; its number in the turn. */
  part: { kind: string; message_id: string | null } | null;
  parts: number;
  /** The agent's last words in the turn. */
  words: string;
  words_cut: boolean;
  /** Of the session, as the agent says; and as it was when the turn began, null if unknown. */
  cost: Money | null;
  cost_before: number | null;
  /** With `paths_cut` the view has not all paths that the agent named. */
  tool_calls: { view: ToolCallView; bytes: number; paths_cut: boolean }[];
  permissions: OpenPermission[];
  next_permission: number;
  spent: Spent;
}

/** Where each dialogue begins. */
export function newDialogue(): DialogueState {
  return {
    version: 1,
    phase: 'starting',
    next_id: 1,
    opening: null,
    requests: [],
    deadline: null,
    settle_until: null,
    agent: null,
    capabilities: { load: false, resume: false, image: false, audio: false, embedded_context: false },
    auth_methods: [],
    session_id: null,
    modes: null,
    replayed: 0,
    turns: 0,
    turn: null,
    last_turn: null,
    part: null,
    parts: 0,
    words: '',
    words_cut: false,
    cost: null,
    cost_before: null,
    tool_calls: [],
    permissions: [],
    next_permission: 1,
    spent: { heard: 0, told: 0, replies: 0, reply_bytes: 0 },
  };
}
