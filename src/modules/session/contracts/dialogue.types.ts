import { SESSION_FAILURE_CODES } from '../../../common/retries/failure-codes.js';

export { SESSION_FAILURE_CODES };
/** Why a dialogue with an agent has failed. Stable: clients and retry policies match on these. */
export type SessionFailureCode = (typeof SESSION_FAILURE_CODES)[number];

export interface SessionFailure {
  code: SessionFailureCode;
  /** For people: what happened and what to do. */
  text: string;
  /** What the agent's provider has asked for: not again before so many seconds. */
  retry_after_seconds?: number;
}

/** Where the dialogue is; `closed` is the end. */
export const SESSION_PHASES = [
  'starting',
  'initializing',
  'authenticating',
  'opening',
  'settling',
  'setting_mode',
  'idle',
  'prompting',
  'cancelling',
  'closed',
] as const;
export type SessionPhase = (typeof SESSION_PHASES)[number];

/** What differs from agent to agent. What is left out is as the protocol says. */
export interface DialogueQuirks {
  /** The way to authenticate before a session is opened; the agent offers its names in `initialize`. */
  auth_method?: string | null;
  /** A younger session is not loaded before it is so old. */
  load_min_age_seconds?: number;
  /** How long the agent may be silent before its repeating of a loaded session counts as over; 0: at the response. */
  replay_settle_ms?: number;
}

/** What a dialogue begins with. */
export interface DialogueOpening {
  /** Absolute, as the agent sees it. */
  cwd: string;
  /** Who we are. */
  client: { name: string; version: string };
  /** A session to go on with, and when it was made (RFC 3339); null for a new one. */
  session: { session_id: string; created_at: string } | null;
  /** The mode to begin in, as the agent names it; null for its own. */
  mode_id: string | null;
  quirks: DialogueQuirks;
}

/** A part of a prompt. */
export type PromptBlock =
  | { type: 'text'; text: string }
  /** `data` is base64. */
  | { type: 'image'; mime_type: string; data: string; uri?: string | null }
  | { type: 'resource_link'; uri: string; name: string; mime_type?: string | null; size?: number | null }
  | { type: 'resource'; uri: string; text: string; mime_type?: string | null };

export type CancelReason = 'interrupt' | 'inactive' | 'stop';

/** What a dialogue hears. */
export type DialogueEvent =
  /** The agent's command runs. */
  | { type: 'begun'; opening: DialogueOpening }
  /** One whole line of its standard output, without the newline. */
  | { type: 'line'; text: string }
  /** A line that is too long to be taken in; its first characters where they are known. */
  | { type: 'too_long'; bytes: number; head?: string }
  /** Send it only while the phase is `idle`. */
  | { type: 'prompt'; prompt_id: string; content: PromptBlock[] }
  /** To a permission request; without an option it is cancelled. */
  | { type: 'answer'; key: string; option_id: string | null }
  | { type: 'set_mode'; mode_id: string }
  | { type: 'cancel'; reason: CancelReason }
  /** No prompt waits: ends the dialogue with a `result`. Only while the phase is `idle`. */
  | { type: 'finish' }
  /** The agent's process has ended: nothing can be sent any more. */
  | { type: 'gone' }
  /** A `wake_at` has come. Everything that the agent wrote before belongs in front of it. */
  | { type: 'time' };

/** A JSON-RPC message to the agent; one line. */
export interface DialogueFrame {
  jsonrpc: '2.0';
  id?: number | string | null;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: { code: number; message: string };
}

export type ToolCallContent =
  | { type: 'text'; text: string; cut: boolean }
  /** `old_text` null: a new file. */
  | { type: 'diff'; path: string; old_text: string | null; new_text: string; cut: boolean }
  | { type: 'terminal'; terminal_id: string }
  | MediaContent;

/** An image, a sound, a file or a link to one. Small ones have their bytes (base64) or text in `data`. */
export interface MediaContent {
  type: 'image' | 'audio' | 'resource' | 'resource_link' | 'unknown';
  mime_type: string | null;
  uri: string | null;
  name: string | null;
  /** Of the content, decoded; null where nobody says. */
  bytes: number | null;
  data: string | null;
}

/** What is known of a tool call by now. */
export interface ToolCallView {
  tool_call_id: string;
  /** In which turn it began; 0 before the first. */
  turn: number;
  title: string | null;
  name: string | null;
  /** `read`, `edit`, `delete`, `move`, `search`, `execute`, `think`, `fetch`, `switch_mode` or `other`. */
  kind: string | null;
  status: 'pending' | 'in_progress' | 'completed' | 'failed';
  /** The agent never said how it ended: its turn was over before. Then it is `failed`, until the agent says otherwise. */
  left_open?: true;
  locations: { path: string; line: number | null }[];
  content: ToolCallContent[];
  /** Items of the content that were too many. */
  content_left_out: number;
  /** Any JSON; where it was too long, the beginning of it as text, and `raw_input_cut`. */
  raw_input: unknown;
  raw_input_cut: boolean;
  raw_output: unknown;
  raw_output_cut: boolean;
  /**
   * Not all of it: its beginning is not known here (any more), or this message has of the lists and raw JSON only what
   * changed. Keep what you have where this has null or nothing.
   */
  partial: boolean;
  /** In a message: the agent told so much at once that lists and raw JSON were left out, new ones, too. */
  cut?: true;
}

export interface PermissionOptionView {
  option_id: string;
  name: string;
  /** `allow_once`, `allow_always`, `reject_once`, `reject_always`, or what the agent says. */
  kind: string;
}

export interface OpenedPermission {
  /** Unique within the dialogue. */
  key: string;
  prompt_id: string | null;
  tool_call: ToolCallView;
  /** All that it is about, as the agent named them: up to 500, each whole. */
  paths: string[];
  /** The agent named more, or something that is no path. */
  paths_cut: boolean;
  options: PermissionOptionView[];
}

/** Why nobody needs to answer a permission request any more. */
export type PermissionClosing = 'answered' | 'cancelled' | 'withdrawn' | 'turn_ended' | 'session_closed' | 'agent_gone';

export interface ClosedPermission {
  key: string;
  why: PermissionClosing;
  /** What the agent was told; null: that it is cancelled, or nothing (`agent_gone`). */
  option_id: string | null;
}

export interface SessionCapabilities {
  load: boolean;
  resume: boolean;
  image: boolean;
  audio: boolean;
  embedded_context: boolean;
}

export interface SessionModes {
  current_id: string | null;
  available: { mode_id: string; name: string }[];
  /** The config option that the modes are; null for modes proper. */
  config_id: string | null;
}

export interface OpenedSession {
  session_id: string;
  how: 'new' | 'loaded' | 'resumed';
  /** The session that was asked for and could not be had. */
  instead_of: string | null;
  agent: { name: string; version: string | null } | null;
  capabilities: SessionCapabilities;
  modes: SessionModes | null;
}

/** What a turn has used, as the agent says; null where it doesn't. */
export interface TurnUsage {
  input_tokens: number | null;
  output_tokens: number | null;
  total_tokens: number | null;
  thought_tokens: number | null;
  cached_read_tokens: number | null;
  cached_write_tokens: number | null;
  models: { model: string; input_tokens: number | null; output_tokens: number | null }[];
  /** Of this turn. */
  cost: { amount: number; currency: string } | null;
  /** Of the whole session up to here. */
  session_cost: { amount: number; currency: string } | null;
}

export interface EndedTurn {
  prompt_id: string;
  /** 1, 2, 3 … within the dialogue. */
  turn: number;
  /** The agent's word (`end_turn`, `max_tokens`, `max_turn_requests`, `refusal`, `cancelled`, or another); null: none. */
  stop_reason: string | null;
  /** Who asked for its end before it came. */
  cancelled_by: CancelReason | null;
  usage: TurnUsage | null;
  /** Null where it went well, or was cancelled. */
  failure: SessionFailure | null;
}

/** An event that could not be had; nothing was changed. */
export interface RefusedEvent {
  event: 'prompt' | 'answer' | 'set_mode' | 'finish';
  /** Of the prompt, the permission request or the mode. */
  subject: string | null;
  code:
    | 'session.not_ready'
    | 'session.prompt_empty'
    | 'session.image_unsupported'
    | 'session.permission_closed'
    | 'session.option_unknown'
    | 'session.mode_unavailable';
  text: string;
}
