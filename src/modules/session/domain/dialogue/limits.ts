/** How long an agent may take for `initialize`: measured 0.8 to 3.7 s; a busy machine and a cold disk take many times that. */
export const INITIALIZE_MS = 90_000;
/** For `authenticate`, and for opening a session: agents ask their provider, index the workspace, start tools. */
export const OPENING_MS = 180_000;
/** For the mode to begin in: agents answer at once. */
export const MODE_MS = 30_000;
/** From a cancel to the end of the turn: a tool that runs has to be ended. */
export const CANCEL_MS = 30_000;
/** The wait for the rest of a replay is at most so many times the silence that ends it. */
export const SETTLE_TIMES = 10;

/** What the state may have as JSON, in bytes: it is read and written with every batch of lines. */
export const MAX_STATE_BYTES = 256 * 1024;
/** All tool calls in it: half of the state, what else is in it has limits that add up to the rest. */
export const MAX_TOOL_CALLS_BYTES = 128 * 1024;
/** One of them; also what each of its messages has. */
export const MAX_TOOL_CALL_BYTES = 48 * 1024;
/** A text in a tool call, in characters: each of these in turn until the whole fits. */
export const TOOL_TEXTS = [16_384, 4_096, 1_024, 256] as const;
export const MAX_TOOL_ITEMS = 64;
export const MAX_LOCATIONS = 50;

/** A path in a tool call, in characters: PATH_MAX is 4,096 bytes, and those of people are far shorter. */
export const MAX_PATH = 1_024;
/** Titles and names, in characters: what fits a screen. */
export const MAX_TITLE = 500;
export const MAX_NAME = 100;
/** Ids that go back to the agent can't be cut; longer ones, in bytes as JSON, are refused. */
export const MAX_ID_BYTES = 256;

/** Permission requests that wait at a time: agents ask one by one, or for the tools of one step together. */
export const MAX_PERMISSIONS = 16;
/** Options of one of them: four kinds, and some for the mode to go on in. */
export const MAX_OPTIONS = 12;
/** Changes of mode that wait for their answers. */
export const MAX_MODE_CHANGES = 8;
export const MAX_MODES = 32;
export const MAX_AUTH_METHODS = 8;
/** Entries of a list in a message, such as those of a plan. */
export const MAX_ENTRIES = 100;

/** The last words of a turn, in characters: the summary of its result. */
export const MAX_SUMMARY = 6_000;
/** Of one message, in characters: at most the MiB that a line of other agents has. */
export const MAX_MESSAGE_TEXT = 256 * 1024;
/** Up to which chunks become one message: a client shows them as they come. */
export const MAX_COALESCED_TEXT = 32 * 1024;
/** Raw JSON in a debug message, in characters. */
export const MAX_RAW = 8_192;
/** Base64 or text of a media block that is kept, in characters: an icon. Whole images are for the workspace. */
export const MAX_MEDIA = 16_384;
/** Text of an agent's error, in characters. */
export const MAX_ERROR_TEXT = 1_000;
