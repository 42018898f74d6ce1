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
/** Paths that a permission request is about, for policies: whole ones up to PATH_MAX, more than an agent changes in a step. */
export const MAX_ASKED_PATHS = 500;
export const MAX_ASKED_PATH = 4_096;
/** All of them: so many of common length (some 100) fit twice; lists of requests have many of these. */
export const MAX_ASKED_PATHS_BYTES = 128 * 1024;
/** Titles and names, in characters: what fits a screen. */
export const MAX_TITLE = 500;
export const MAX_NAME = 100;
/** Ids that go back to the agent can't be cut; longer ones, in bytes as JSON, are refused. */
export const MAX_ID_BYTES = 256;

/** Permission requests that wait at a time: agents ask one by one, or for the tools of one step together. */
export const MAX_PERMISSIONS = 16;
/** Permission requests of an attempt: some every minute for a day and night. */
export const MAX_ASKED = 2_000;
/** Options of one of them: four kinds, and some for the mode to go on in. */
export const MAX_OPTIONS = 12;
/** Changes of mode that wait for their answers. */
export const MAX_MODE_CHANGES = 8;
export const MAX_MODES = 32;
export const MAX_AUTH_METHODS = 8;
/** Entries of a list in a message, such as those of a plan. */
export const MAX_ENTRIES = 100;

/** Frames of one line: the protocol has no batches, some libraries know them. */
export const MAX_BATCH = 100;
/** Messages and permission requests of an attempt as JSON: this, and so many times what the agent wrote. A message takes 2 to 4 times its line. */
export const MAX_TOLD_BYTES = 16 * 1024 * 1024;
export const MAX_TOLD_TIMES = 8;
/** What a line counts as at least: even an empty one makes a message of some 200 bytes. */
export const MIN_LINE_BYTES = 64;
/** Messages of one call, as JSON: after that tool calls are told without their large parts. A transaction holds all of them. */
export const MAX_STEP_BYTES = 8 * 1024 * 1024;
/** Answers to the agent's requests in an attempt: it may ask for permissions, and little else. */
export const MAX_REPLIES = 20_000;
/** The same with those to updates that some agents send as requests, one for each word: a million and more. */
export const MAX_REPLY_BYTES = 64 * 1024 * 1024;

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
